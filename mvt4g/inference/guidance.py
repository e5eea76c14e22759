"""What videos are generated for beside cameras: texts, which are encoded once, and the references' first frames."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mvt4g.formats.captions import read_captions
from mvt4g.formats.latent_file import read_prompt
from mvt4g.models.conditioning.epipolar_guidance import EpipolarGuidance
from mvt4g.models.image_tokens import ImageEncoder
from mvt4g.models.novel_view import SamplingGuidance
from mvt4g.models.text import NEGATIVE_PROMPT, TextEncoderSpec, encode_prompts
from mvt4g.ranges import Range, Share, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class GuidanceSpec:
    """What generated videos are to follow, and how much.

    A text is an embedding that ``mvt4g encode-prompts`` wrote, or is written out for ``encoder``. Of several texts for
    a clip the first counts: what it brings from a cache, ``captions``, ``prompt`` or ``text``, the learned null text.

    Attributes:
        text: Embedding for every clip that brings none; null = the learned null text, and no guidance.
        negative: Embedding to lead away from; null = the negative prompt with an encoder, else the learned null text.
        scale: 1 = none, at one pass a step; ReCamMaster and ReDirector sample with 5, at two.
        noise_levels: Steps between these two sigmas are guided; any other takes one pass.
        encoder: Encodes the texts below, once, before the first video is generated; then it is dropped.
        prompt: As ``text``, in words.
        captions: A CSV ``file_name,text``: words for each video, by its name.
        negative_prompt: As ``negative``, in words; null = Wan's, which its public weights were sampled with.
        image_encoder: CLIP's weights, for a backbone that looks at the reference's first frame (ReDirector).
        epipolar: Leads attention between the views to epipolar lines; null = not at all.
    """

    text: Path | None = None
    negative: Path | None = None
    scale: Annotated[float, Range(1)] = 1.0
    noise_levels: tuple[Share, Share] = (0.0, 1.0)
    encoder: TextEncoderSpec | None = None
    prompt: str | None = None
    captions: Path | None = None
    negative_prompt: str | None = None
    image_encoder: Path | None = None
    epipolar: EpipolarGuidance | None = None

    def __post_init__(self) -> None:
        """Check that the fields go together.

        Raises:
            InputError: If ``scale`` is under 1, a text is given twice, or words come without an encoder or it without.
        """
        check_ranges(self, "evaluation.guidance")
        where = "evaluation.guidance"
        words = (self.prompt, self.captions, self.negative_prompt)
        low, high = self.noise_levels
        if not 0 <= low < high <= 1:
            raise InputError(f"{where}.noise_levels: got {self.noise_levels}, want [least, largest] in [0, 1]")
        if (self.encoder is None) != (words == (None, None, None)):
            got = "null" if self.encoder is None else "one without prompt, captions and negative_prompt"
            raise InputError(f"{where}.encoder: got {got}, want an encoder together with what it is to encode")
        for embedding, prompt in (("text", "prompt"), ("negative", "negative_prompt")):
            if getattr(self, embedding) is not None and getattr(self, prompt) is not None:
                raise InputError(f"{where}.{embedding}: got a file and {prompt}, want one of them")


class Guided(NamedTuple):
    """The texts of a batch, and how much they lead; None = the learned null text."""

    text: Float[Tensor, "b l text_d"] | None
    guidance: SamplingGuidance


class Guidance:
    """What ``NovelViewModel.generate`` is told beside cameras.

    Args:
        spec: Where texts and encoders lie.
        text_shape: Most tokens of a text that the network takes, and the width of one.
        image_dim: Width of the image tokens that it looks at; None = it looks at none.

    Raises:
        InputError: If a file is not there, a text's is broken or none that the network takes, or there are image tokens
            for a network that looks at none.
    """

    def __init__(
        self,
        spec: GuidanceSpec,
        text_shape: tuple[int, int],
        image_dim: int | None = None,
    ) -> None:
        self.spec = spec
        self.text_shape = text_shape
        self.image_dim = image_dim
        # Hours may pass before the first text is encoded: what is missing is told now.
        needed = [spec.image_encoder]
        if spec.encoder is not None:
            needed += [spec.encoder.weights, spec.encoder.tokenizer]
        for path in needed:
            if path is not None and not path.exists():
                raise InputError(f"{path}: no such file, want the encoder that evaluation.guidance names")
        if spec.image_encoder is not None and self.image_dim is None:
            got = "an image encoder for a backbone that looks at no image"
            raise InputError(f"{spec.image_encoder}: got {got}, want null")
        self.text = None if spec.text is None else self._read(spec.text)
        self.negative = None if spec.negative is None else self._read(spec.negative)
        self.captions = None if spec.captions is None else read_captions(spec.captions)
        self._embeddings: dict[str, Tensor] | None = None
        self._image_encoder: ImageEncoder | None = None
        self._warned = False

    def arguments(
        self,
        names: Sequence[str],
        device: torch.device,
        own: Float[Tensor, "b l text_d"] | None = None,
    ) -> Guided:
        """Return texts and guidance for a batch.

        Args:
            names: Of the clips.
            device: Where the network is, and where texts are encoded.
            own: The clips' texts, which come first.

        Raises:
            InputError: If a clip has no caption and there is no prompt, or an encoder's file is broken.
        """
        embeddings = self._encoded(device)
        text = own if own is not None else self._texts(names, embeddings)
        negative = self.negative
        if negative is None and self.spec.encoder is not None:
            negative = embeddings[self._negative_prompt]
        away = None if negative is None else negative.to(device).expand(len(names), -1, -1)
        guidance = SamplingGuidance(self.spec.scale, away, *self.spec.noise_levels, self.spec.epipolar)
        return Guided(None if text is None else text.to(device), guidance)

    def image(
        self,
        first_frames: Float[Tensor, "b 3 h w"],
        own: Float[Tensor, "b i image_d"] | None = None,
    ) -> Float[Tensor, "b i image_d"] | None:
        """Return the image tokens of a batch: its own, those of the references' first frames, or None without encoder.

        A network that looks at an image and gets none is warned of, once: it goes on with a zero in its place.
        """
        if own is not None:
            return own
        if self.spec.image_encoder is None:
            if self.image_dim is not None and not self._warned:
                self._warned = True
                got = f"null for a backbone that looks at image tokens of width {self.image_dim}"
                want = "CLIP's weights: without them it sees an empty image"
                told = f"evaluation.guidance.image_encoder: got {got}, want {want}"
                warnings.warn(told, stacklevel=2)
            return None
        if self._image_encoder is None:
            encoder = ImageEncoder(self.spec.image_encoder, "bfloat16")
            self._image_encoder = encoder.to(first_frames.device)
        return self._image_encoder(first_frames)

    @property
    def _negative_prompt(self) -> str:
        return NEGATIVE_PROMPT if self.spec.negative_prompt is None else self.spec.negative_prompt

    def _encoded(self, device: torch.device) -> dict[str, Float[Tensor, "_ text_d"]]:
        """Return the embeddings of all texts in words, encoded at the first call."""
        if self._embeddings is None:
            prompts = [] if self.captions is None else self.captions.texts
            prompts += [] if self.spec.prompt is None else [self.spec.prompt]
            prompts += [] if self.negative is not None else [self._negative_prompt]
            encoder = self.spec.encoder
            self._embeddings = {} if encoder is None else encode_prompts(prompts, encoder, device)
            for embedding in self._embeddings.values():
                assert encoder is not None
                self._check(embedding, encoder.weights)
        return self._embeddings

    def _read(self, path: Path) -> Float[Tensor, "l text_d"]:
        embedding = read_prompt(path)
        self._check(embedding, path)
        return embedding

    def _check(self, embedding: Float[Tensor, "l text_d"], path: Path) -> None:
        limit, width = self.text_shape
        if len(embedding) > limit or embedding.shape[1] != width:
            got = f"a text of {len(embedding)} tokens of width {embedding.shape[1]}"
            raise InputError(f"{path}: got {got}, want at most {limit} of width {width}, as the backbone takes")

    def _texts(
        self, names: Sequence[str], embeddings: dict[str, Float[Tensor, "_ text_d"]]
    ) -> Float[Tensor, "b l text_d"] | None:
        """Return the clips' texts, shorter ones with zeros behind, as the network pads them itself."""
        texts = []
        for name in names:
            caption = None if self.captions is None else self.captions.of(name)
            # A text of the video's own comes before one for all.
            words = self.spec.prompt if caption is None else caption
            if words is None and self.text is None and self.captions is not None:
                want = "one, or a prompt for all others"
                raise InputError(f"{self.captions.path}: got no text of {name}, want {want}")
            texts.append(self.text if words is None else embeddings[words])
        given = [text for text in texts if text is not None]
        return pad_sequence(given, batch_first=True) if given else None
