"""Publish a colorizer on the Hugging Face Hub and load one by name. Nothing is sent or fetched unless called."""

from pathlib import Path

import torch
from huggingface_hub import ModelHubMixin, snapshot_download

from colorlib.colorizer.colorizer import SIBLING, Colorizer

FILE = "colorizer.safetensors"


class HubColorizer(Colorizer, ModelHubMixin, library_name="colorlib", tags=["image-colorization"]):
    """A Colorizer that can be published and loaded by name, or from a folder: two safetensors files, no code, no pickle.

    Example:
        >>> colorizer = HubColorizer.from_pretrained("someone/their-colorizer")  # doctest: +SKIP
        >>> colorizer.push_to_hub("you/your-colorizer")  # huggingface_hub's, after its login  # doctest: +SKIP
    """

    def _save_pretrained(self, save_directory: Path) -> None:
        self.save(save_directory / FILE)
        if self.sibling is not None:
            self.sibling.save(save_directory / SIBLING)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, revision: str | None, cache_dir: str | Path | None,
                         force_download: bool, local_files_only: bool, token: str | bool | None,
                         device: torch.device | str | None = None, **others: object) -> "HubColorizer":
        if not Path(model_id).is_dir():
            model_id = snapshot_download(
                model_id, revision=revision, cache_dir=cache_dir, force_download=force_download, token=token,
                local_files_only=local_files_only, library_name="colorlib", allow_patterns=[FILE, SIBLING])
        return cls.load(Path(model_id) / FILE, device)
