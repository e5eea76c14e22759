"""The names that may follow ``mvt4g``: those of this package, as a table that costs nothing to read."""

TRAINER_COMMANDS = {
    "fit": "train a model",
    "validate": "score a checkpoint on the validation clips",
    "test": "score a checkpoint on the test clips, or score videos that others generated",
    "predict": "generate the novel view of videos and track points in both views",
}
"""LightningCLI's commands and what they do here."""
COMMANDS = {
    "write-clips": ("mvt4g.commands.write_clips", "write_clips", "generate synthetic clips and write them to a folder"),
    "export-weights": (
        "mvt4g.commands.export_weights",
        "export_weights",
        "write a backbone's weights under the names of a public checkpoint",
    ),
    "validate-clips": ("mvt4g.commands.validate_clips", "validate_clips", "check clips in any known format"),
    "export-tracks": (
        "mvt4g.commands.export_tracks",
        "export_tracks",
        "write predicted tracks for TAP-Vid or CoTracker",
    ),
    "encode-prompts": ("mvt4g.commands.encode_prompts", "encode_prompts_to", "encode texts once, to guide generation"),
    "precompute": ("mvt4g.commands.precompute", "precompute", "encode clips once, to train from their latents"),
    "draw-cameras": ("mvt4g.commands.draw_cameras", "draw_cameras", "draw a camera path from above and from the side"),
    "lift": ("mvt4g.commands.lift", "lift", "lift a reference and a generated video into one scene, to look at"),
    "view": ("mvt4g.commands.view", "view", "show a lifted scene in a browser"),
    "compare-probes": (
        "mvt4g.commands.compare_probes",
        "compare_probes",
        "draw two correspondence probes of the same clips as before and after",
    ),
}
"""Module, function and meaning of every verb beside LightningCLI's; its modules are loaded only when it is called."""
PARSE_THEMSELVES = {
    "tune": ("mvt4g.commands.tune", "main", "tune a model on the one video that it is to show from new cameras"),
    "info": ("mvt4g.commands.info", "main", "tell what is installed here, and what a configuration needs"),
}
"""As COMMANDS, of verbs whose function takes the words that follow it."""
TAKES_A_PATH = ("validate-clips", "export-tracks", "draw-cameras", "lift", "view")
"""Verbs whose argument without a default is given without its name."""
OWN_VERBS = (*TRAINER_COMMANDS, *COMMANDS, *PARSE_THEMSELVES)
"""All that may follow ``mvt4g`` without another package."""
