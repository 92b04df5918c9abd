"""A folder that diffusers wrote, what wrote it, and what we read from it: one of each for all tests."""

from dataclasses import replace
from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.pipeline import StableDiffusion

from . import peers


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusionPipeline:
    return peers.pipeline(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def folder(peer: StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stable-diffusion")
    peer.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def loaded(folder: Path) -> StableDiffusion:
    return weights.load(folder)


@pytest.fixture
def ours(loaded: StableDiffusion) -> StableDiffusion:
    """The same networks for every test, in a pipeline of its own."""
    return replace(loaded)
