"""Wan2.1's video diffusion transformer, under the parameter names of its original checkpoints.

With an image and a camera control it is Wan2.1-Fun-Control-Camera, without them Wan2.1 T2V.

Everything is computed on a ``b f h w d`` grid of tokens. What a backbone adds to the blocks (camera inputs, a
projector) lives inside them, under the names its own checkpoint uses.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mvt4g.models.block_taps import BlockTaps
from mvt4g.models.compiling import check_compiler, compiled
from mvt4g.models.dit_config import VideoDiTConfig
from mvt4g.models.layers.attention import CrossAttention, QueryKey, ScoreMod, SelfAttention, joined, map_refused
from mvt4g.models.layers.control_adapter import ControlAdapter
from mvt4g.models.layers.mlp import image_mlp, two_layer
from mvt4g.models.layers.modulation import AffineNorm, gated_add, modulated_norm, sinusoidal_embedding
from mvt4g.models.layers.patches import Head, PatchEmbedding
from mvt4g.ranges import check_allocation
from mvt4g.types import InputError

Place = Literal["block_input", "attention_phase", "attention_bias", "after_attention", "latent_channels"]
"""Where a conditioning acts: see ``conditioning.interface.CameraConditioning``."""
CONTROL = "control"
"""Name of the camera features that ``embed_control`` makes: they are added to the tokens, and a self-attention may turn
them into phases."""


class BlockInputs(NamedTuple):
    """What every block is given beside the tokens.

    Attributes:
        time: Shift, scale and gate of self-attention, then of the feed-forward, before the block's own offsets.
        text: Embedded.
        angles: Rotary angles of the tokens, radians.
        cameras: Features by the name of the conditioning that takes them, in the order of the tokens.
        image: Embedded.
        bias: Added to the logits of self-attention, beside those of the block's own conditionings; None = nothing.
    """

    time: Float[Tensor, "b 6 d"]
    text: Float[Tensor, "b l d"]
    angles: Float[Tensor, "#b f h w #k half_d"]
    cameras: Mapping[str, Float[Tensor, "b f #h #w _"]]
    image: Float[Tensor, "b i d"] | None = None
    bias: Float[Tensor, "b k f h w cells"] | ScoreMod | None = None


class DiTBlock(nn.Module):
    """Self-attention over all views and frames, cross-attention to text, feed-forward; modulated by diffusion time.

    ``projector`` sits between self-attention and its gate: a conditioning's, or nothing.
    """

    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.compile_forward = config.compile == "blocks"
        self.self_attn = SelfAttention(config.dim, config.num_heads, config.eps)
        self.norm3 = AffineNorm(config.dim, config.eps)
        self.cross_attn = CrossAttention(config.dim, config.num_heads, config.eps, config.image_dim is not None)
        self.ffn = two_layer(config.dim, config.ffn_dim, config.dim)
        self.modulation = nn.Parameter(torch.randn(1, 6, config.dim) * config.dim**-0.5)
        self.projector: nn.Module = nn.Identity()
        self.camera_inputs: tuple[str, ...] = ()
        self.attention_biases: tuple[str, ...] = ()

    def add_conditioning(self, name: str, module: nn.Module, place: Place = "block_input") -> None:
        """Let a conditioning's ``module`` act at its ``place``, as attribute ``name`` of block or self-attention.

        Raises:
            InputError: If there is an attribute of that name, or the place has no such name.
        """
        if place in ("after_attention", "attention_phase"):
            owner: nn.Module = self if place == "after_attention" else self.self_attn
            places = ("projector",) if place == "after_attention" else ("rope_phase_qk", "rope_phase_vo")
            if name not in places or not isinstance(getattr(owner, name), nn.Identity | None):
                raise InputError(f"conditioning: got {name!r} at {place}, want one of {places}, and none twice")
            setattr(owner, name, module)
            return
        if hasattr(self, name):
            raise InputError(f"conditioning: got the name {name!r} twice, want one conditioning of each name")
        self.add_module(name, module)
        if place == "attention_bias":
            self.attention_biases += (name,)
        else:
            self.camera_inputs += (name,)

    def forward(
        self,
        tokens: Float[Tensor, "b f h w d"],
        given: BlockInputs,
        num_frames: int | None = None,
        tap_alone: bool = False,
    ) -> tuple[Float[Tensor, "b n h w d"], QueryKey]:
        """Return the next tokens, and the queries and keys of the self-attention.

        Args:
            tokens: Of all views and frames.
            given: The same for every block, but for ``bias``.
            num_frames: Go on with this many leading frames alone, which still attend to all; None = all.
            tap_alone: Compute nothing but queries and keys; the tokens come back as they were.
        """
        # Hooks on the block, which are those of FSDP2, run outside of what is compiled.
        run = compiled(DiTBlock.written_out) if self.compile_forward else DiTBlock.written_out
        return run(self, tokens, given, num_frames, tap_alone)

    def written_out(
        self,
        tokens: Float[Tensor, "b f h w d"],
        given: BlockInputs,
        num_frames: int | None,
        tap_alone: bool,
    ) -> tuple[Float[Tensor, "b n h w d"], QueryKey]:
        """Compute ``forward``, step by step."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = rearrange(
            self.modulation.float() + given.time, "b six d -> six b 1 1 1 d"
        )
        update = modulated_norm(tokens, shift, scale, self.eps)
        for name in self.camera_inputs:
            update = update + self.get_submodule(name)(given.cameras[name])
        control = given.cameras.get(CONTROL)
        if tap_alone:
            return tokens, self.self_attn.query_key(update, given.angles, control)
        bias = given.bias
        for name in self.attention_biases:
            part = self.get_submodule(name)(given.cameras[name])
            bias = part if bias is None else joined(bias, part)
        update, tap = self.self_attn(update, given.angles, num_frames, control, bias)
        tokens = gated_add(tokens[:, :num_frames], gate, self.projector(update))
        tokens = tokens + self.cross_attn(self.norm3(tokens), given.text, given.image)
        update = self.ffn(modulated_norm(tokens, ffn_shift, ffn_scale, self.eps))
        return gated_add(tokens, ffn_gate, update), tap

    def freeze_beyond_tap(self, rotated: bool) -> None:
        """Freeze what queries and keys do not depend on; unless ``rotated``, what turns them too."""
        attention = self.self_attn
        beyond = [
            attention.v,
            attention.o,
            attention.rope_phase_vo,
            self.projector,
            self.norm3,
            self.cross_attn,
            self.ffn,
            *(self.get_submodule(name) for name in self.attention_biases),
        ]
        for module in [*beyond, None if rotated else attention.rope_phase_qk]:
            if module is not None:
                module.requires_grad_(False)


class DiTOutput(NamedTuple):
    """What the network predicts for its latents: no frame where it was to stop after its taps."""

    latents: Float[Tensor, "b c f h w"]


class VideoDiT(nn.Module):
    """The video DiT of Wan2.1 (T2V, Fun-Control-Camera), by its parameter names: patch embedding, blocks, head."""

    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        a_block = config.dim * (8 * config.dim + 2 * config.ffn_dim)  # two attentions and the MLP
        check_allocation("dit", {"layers": config.num_layers, "weights of a layer": a_block})
        if config.compile == "blocks":
            check_compiler("dit.compile")
        self.config = config
        self.patch_embedding = PatchEmbedding(config.in_channels, config.dim, config.patch_size)
        self.text_embedding = two_layer(config.text_dim, config.dim, config.dim)
        self.time_embedding = two_layer(config.freq_dim, config.dim, config.dim, nn.SiLU())
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(config.dim, 6 * config.dim))
        self.img_emb = None if config.image_dim is None else image_mlp(config.image_dim, config.dim)
        self.control_adapter = None
        if config.control_channels is not None:
            self.control_adapter = ControlAdapter(config.control_channels, config.dim, config.patch_size[1])
        self.blocks = nn.ModuleList(DiTBlock(config) for _ in range(config.num_layers))
        self.head = Head(config.dim, config.out_channels, config.patch_size, config.eps)
        self._initialise()

    def forward(
        self,
        latents: Float[Tensor, "b c f h w"],
        timestep: Float[Tensor, " b"],
        text: Float[Tensor, "b l text_d"],
        angles: Float[Tensor, "#b tf th tw #k half_d"],
        cameras: Mapping[str, Float[Tensor, "b tf #th #tw _"]],
        image: Float[Tensor, "b i image_d"] | None = None,
        taps: BlockTaps = BlockTaps(),
        num_output_frames: int | None = None,
    ) -> DiTOutput:
        """Run the network.

        Args:
            latents: All views' latents, one after the other on the frame axis.
            timestep: sigma in [0, 1]; the network multiplies by 1000.
            text: At most ``text_len`` tokens.
            angles: Rotary angles of the tokens, radians.
            cameras: Features for the blocks' conditionings, by name, and those of ``embed_control``.
            image: Tokens of an image, for a network that sees one; None = a zero, as Wan2.1-Fun does without one.
            taps: Which queries and keys to hand out.
            num_output_frames: Predict this many leading token frames, the rest being conditions; None = all. The last
                block then spares the rest everything but their keys and values.
        """
        time, block_time = self.embed_time(timestep)
        tokens = self.patch_embedding(latents)
        if self.control_adapter is not None:
            tokens = tokens + cameras[CONTROL]
        given = BlockInputs(block_time, self.embed_text(text), angles, cameras, self.embed_image(image, len(text)))
        tokens = self.run_blocks(tokens, given, taps, num_output_frames)
        if taps.stop_after:
            return DiTOutput(latents.new_empty(len(latents), self.config.out_channels, 0, *latents.shape[3:]))
        return DiTOutput(self.head(tokens, time))

    def run_blocks(
        self,
        tokens: Float[Tensor, "b f h w d"],
        given: BlockInputs,
        taps: BlockTaps,
        num_frames: int | None,
    ) -> Float[Tensor, "b n h w d"]:
        """Return the tokens behind the last block that runs (of the last of all: ``num_frames`` leading frames)."""
        end = self.config.num_layers - 1
        last = max(taps.layers, default=-1) if taps.stop_after else end
        for layer, block in zip(range(last + 1), self.blocks, strict=False):
            if taps.kept is not None and (done := taps.kept.reached(layer, tokens[:, :num_frames])) is not None:
                return done
            frames = num_frames if layer == end else None
            own = given._replace(bias=taps.biases[layer]) if layer in taps.biases else given
            tokens, tap = self._run(block, tokens, own, frames, taps.stop_after and layer == last)
            if layer in taps.layers:
                taps.take(layer, tap)
        if taps.kept is not None:
            taps.kept.keep(tokens)
        return tokens

    def freeze_beyond(self, layer: int, rotated: bool) -> None:
        """Freeze what queries and keys of the blocks up to ``layer`` do not depend on.

        Args:
            layer: 0-based.
            rotated: Keep what turns the last of them: they are looked at as attention rotates them.
        """
        for block in self.blocks[layer + 1 :]:
            block.requires_grad_(False)
        last = self.blocks[layer]
        assert isinstance(last, DiTBlock)
        last.freeze_beyond_tap(rotated)
        for module in (self.head, *([self.text_embedding, self.img_emb] if layer == 0 else [])):
            if module is not None:
                module.requires_grad_(False)

    def embed_time(self, timestep: Float[Tensor, " b"]) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b 6 d"]]:
        """Return the head's and the blocks' embedding of sigma, fp32 under any autocast."""
        with torch.autocast(timestep.device.type, enabled=False):
            sinusoid = sinusoidal_embedding(1000 * timestep.double(), self.config.freq_dim)
            time = self.time_embedding(sinusoid.to(_dtype(self.time_embedding)))
            block_time = rearrange(self.time_projection(time), "b (six d) -> b six d", six=6)
        return time.float(), block_time.float()

    def embed_control(self, control: Float[Tensor, "b control_c f h w"]) -> Float[Tensor, "b f th tw d"]:
        """Return the camera features ``CONTROL`` of a camera control on the latents' grid."""
        assert self.control_adapter is not None, "callers know whether the network takes one"
        features: Tensor = self.control_adapter(control)
        return features

    def embed_text(self, text: Float[Tensor, "b l text_d"]) -> Float[Tensor, "b text_len d"]:
        """Pad ``text`` with zeros to ``text_len`` tokens, then embed them all, padding too.

        Raises:
            InputError: If there are more than ``text_len`` tokens or they have another width than ``text_dim``.
        """
        limit = self.config.text_len
        width = self.config.text_dim
        if text.shape[1] > limit or text.shape[2] != width:
            raise InputError(f"text: got shape {tuple(text.shape)}, want at most {limit} tokens of width {width}")
        padded = F.pad(text, (0, 0, 0, limit - text.shape[1]))
        return self.text_embedding(padded.to(_dtype(self.text_embedding)))

    def embed_image(self, image: Float[Tensor, "b i image_d"] | None, batch: int) -> Float[Tensor, "b i d"] | None:
        """Return the embedded image, of a zero token when there is none, or None if the network sees no image.

        Raises:
            InputError: If the tokens have another width than ``image_dim``, or the network sees no image.
        """
        width = self.config.image_dim
        if image is not None and image.shape[2] != width:
            want = "no image" if width is None else width
            raise InputError(f"image: got tokens of width {image.shape[2]}, want {want}")
        if self.img_emb is None or width is None:
            return None
        if image is None:  # attention to many equal tokens is attention to one of them
            image = self.head.modulation.new_zeros(batch, 1, width)
        return self.img_emb(image.to(_dtype(self.img_emb)))

    def _run(self, block: nn.Module, *inputs: Any) -> tuple[Float[Tensor, "b f h w d"], QueryKey]:
        with map_refused():
            if self.config.activation_checkpointing and torch.is_grad_enabled():
                return checkpoint(block, *inputs, use_reentrant=False)
            return block(*inputs)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embedding.weight.flatten(1))
        for embedding in (self.text_embedding, self.time_embedding):
            for name, parameter in embedding.named_parameters():
                if name.endswith("weight"):
                    nn.init.normal_(parameter, std=0.02)
        nn.init.zeros_(self.head.head.weight)
        for module in self.modules():
            if isinstance(module, SelfAttention):
                nn.init.constant_(module.norm_q.weight, self.config.query_gain)


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype
