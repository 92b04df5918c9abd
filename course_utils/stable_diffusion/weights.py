"""Stable Diffusion from, and to, a folder in the ecosystem's layout.

    model_index.json   tokenizer/      vocab.json, merges.txt or tokenizer.json, tokenizer_config.json
                       text_encoder/   config.json, model.safetensors
                       vae/            config.json, diffusion_pytorch_model.safetensors
                       unet/           config.json, diffusion_pytorch_model.safetensors
                       scheduler/      scheduler_config.json

Reading is strict: an option that is not implemented, a weight that is missing, left over or of another shape
is an error that lists what does not fit. Nothing is downloaded, nothing is unpickled.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from course_utils.stable_diffusion.adapters import ControlNet, ControlNetConfig
from course_utils.stable_diffusion.autoencoder_kl import AutoencoderConfig, AutoencoderKL
from course_utils.stable_diffusion.names import (
    OLD_AUTOENCODER,
    OTHER_TEXT_ENCODER,
    POSITION_IDS,
    TO_AUTOENCODER,
    TO_CONTROLNET,
    TO_TEXT_ENCODER,
    TO_UNET,
    Renaming,
    renamed,
)
from course_utils.stable_diffusion.pipeline import StableDiffusion
from course_utils.stable_diffusion.scheduler import DDIM, DPMSolverPP, Scheduler
from course_utils.stable_diffusion.text_encoder import TextConfig, TextEncoder, Tokenizer
from course_utils.stable_diffusion.unet import UNet, UNetConfig

FOLDER_VARIABLE = "SD_MODEL_DIR"
PUBLISHED = Path(__file__).with_name("published.json")  # the one place that knows ids


@dataclass(frozen=True)
class Part:
    """A network of the folder: how it is built, where its weights lie, and what they are called there."""

    network: type[nn.Module]
    config: type
    file: str
    names: Renaming
    other_names: Renaming = ()


MODEL, DIFFUSERS_MODEL = "model.safetensors", "diffusion_pytorch_model.safetensors"
TEXT_ENCODER = Part(TextEncoder, TextConfig, MODEL, TO_TEXT_ENCODER, OTHER_TEXT_ENCODER)
AUTOENCODER = Part(AutoencoderKL, AutoencoderConfig, DIFFUSERS_MODEL, TO_AUTOENCODER, OLD_AUTOENCODER)
UNET = Part(UNet, UNetConfig, DIFFUSERS_MODEL, TO_UNET)
CONTROLNET = Part(ControlNet, ControlNetConfig, DIFFUSERS_MODEL, TO_CONTROLNET)
SCHEDULERS = {kind.CLASS: kind for kind in (DDIM, DPMSolverPP)}
LIBRARY = {TextConfig.CLASS: "transformers", "CLIPTokenizer": "transformers"}  # of the others: diffusers

Config = TypeVar("Config")


class LayoutError(ValueError):
    """The folder does not hold what it should; the message lists everything that does not fit."""


def model_folder(shipped: Path) -> Path:
    """Where to load from: what SD_MODEL_DIR names, else the model that comes with the course.

    Raises:
        FileNotFoundError: SD_MODEL_DIR names no such folder; the message says how to provide it.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return shipped
    if not (Path(named) / "model_index.json").is_file():
        known = json.loads(PUBLISHED.read_text(encoding="utf-8"))["stable-diffusion-1.5"]
        raise FileNotFoundError(
            f"model_folder: {FOLDER_VARIABLE} names {named}, which holds no model_index.json. Who runs this "
            f"hub downloads {known['id']} ({known['gigabytes']} GB, as safetensors) once, to a folder that "
            f"all can read, and sets {FOLDER_VARIABLE} to it. Unset, the course's own small model is used."
        )
    return Path(named)


def load(folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> StableDiffusion:
    """The whole pipeline, in evaluation mode. What the folder holds beside the five parts is left aside.

    Raises:
        FileNotFoundError: a file is missing.
        LayoutError: a part is no part of Stable Diffusion 1.x, or does not fit; see the module.
    """
    index = _read_json(folder / "model_index.json")
    if not index.get("_class_name", "").startswith("StableDiffusion") or "text_encoder_2" in index:
        raise LayoutError(
            f"load: {folder} holds a {index.get('_class_name')}; what is implemented is Stable Diffusion 1.x."
        )
    scheduler, notice = load_scheduler(folder / "scheduler")
    if any(index.get("safety_checker", ())):
        notice = f"{notice} The folder's safety checker is left aside: nothing filters the images.".strip()
    return StableDiffusion(
        tokenizer=Tokenizer.load(folder / "tokenizer"),
        text_encoder=load_network(folder / "text_encoder", TEXT_ENCODER, device=device, dtype=dtype),
        unet=load_network(folder / "unet", UNET, device=device, dtype=dtype),
        autoencoder=load_network(folder / "vae", AUTOENCODER, device=device, dtype=dtype),
        scheduler=scheduler,
        notice=notice,
    )


def load_network(folder: Path, part: Part, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """One network, in evaluation mode: config.json says its sizes, the safetensors file must fit exactly."""
    config: Any = read_config(folder / "config.json", part.config)
    with torch.device("meta"):
        network = part.network(config)
    path = _weights_file(folder, part)
    wanted = names_in_file(network, part)
    with safe_open(path, framework="pt", device=device) as file:
        stored = list(file.keys())
        found = {renamed(name, part.other_names): name for name in stored}
        if len(found) < len(stored):
            raise LayoutError(f"load_network: {path} holds weights twice, under older and newer names.")
        if POSITION_IDS in found:
            _require_positions(path, file.get_tensor(found.pop(POSITION_IDS)))
        shapes = {name: tuple(file.get_slice(old).get_shape()) for name, old in found.items()}
        _require_fit(path, {name: tuple(weight.shape) for name, (_, weight) in wanted.items()}, shapes)
        weights = {ours: file.get_tensor(found[name]).to(dtype) for name, (ours, _) in wanted.items()}
    network.load_state_dict(weights, assign=True)
    return network.eval()


def names_in_file(network: nn.Module, part: Part) -> dict[str, tuple[str, Tensor]]:
    """Name in the file -> (name in the network, parameter)."""
    return {renamed(name, part.names): (name, weight) for name, weight in network.state_dict().items()}


def load_scheduler(folder: Path) -> tuple[Scheduler, str]:
    """The scheduler, and a notice: where the file names one that is not implemented, DDIM takes its place."""
    path = folder / "scheduler_config.json"
    content = _read_json(path)
    named = content.get("_class_name", DDIM.CLASS)
    if named in SCHEDULERS:
        return read_config(path, SCHEDULERS[named]), ""
    shared = {field.name: content[field.name] for field in fields(DDIM) if field.name in content}
    notice = f"The folder asks for {named}; DDIM takes its place, with the same noise levels."
    return DDIM(**shared | {"clip_sample": False}), notice


def read_config(path: Path, kind: type[Config]) -> Config:
    """The sizes in a config.json. LayoutError: an option that changes the outputs is not implemented."""
    content = {name: _hashable(value) for name, value in _read_json(path).items()}
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    config: Any = kind(
        **{name: value for name, value in content.items() if name in names and value is not None}
    )
    expected = config.fixed() | {"_class_name": config.CLASS}
    refused = {
        name: value
        for name, value in content.items()
        if name not in names | set(config.WITHOUT_EFFECT)
        and (value != expected[name] if name in expected else value and not name.startswith("_"))
    }
    if refused:
        listed = "\n  ".join(
            f"{name} = {value!r}" + (f", not {expected[name]!r}" if name in expected else "")
            for name, value in refused.items()
        )
        raise LayoutError(f"read_config: {path} asks for what is not implemented here:\n  {listed}")
    return config


def save(pipeline: StableDiffusion, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the whole pipeline in the layout that load, and the ecosystem's libraries, read."""
    pipeline.tokenizer.save(folder / "tokenizer")
    save_network(pipeline.text_encoder, folder / "text_encoder", TEXT_ENCODER, dtype)
    save_network(pipeline.unet, folder / "unet", UNET, dtype)
    save_network(pipeline.autoencoder, folder / "vae", AUTOENCODER, dtype)
    _write_config(folder / "scheduler" / "scheduler_config.json", pipeline.scheduler)
    classes = {
        "scheduler": type(pipeline.scheduler).CLASS,
        "text_encoder": TextConfig.CLASS,
        "tokenizer": "CLIPTokenizer",
        "unet": UNetConfig.CLASS,
        "vae": AutoencoderConfig.CLASS,
    }
    absent = {name: [None, None] for name in ("feature_extractor", "image_encoder", "safety_checker")}
    index = {"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False, **absent}
    parts = {name: [LIBRARY.get(kind, "diffusers"), kind] for name, kind in classes.items()}
    _write_json(folder / "model_index.json", index | parts)


def save_network(network: Any, folder: Path, part: Part, dtype: torch.dtype = torch.float32) -> Path:
    """Weights and config.json of one network; returns the file of the weights.

    TypeError, ValueError: it is another one, bears adapters, or holds values that dtype cannot.
    """
    if type(network) is not part.network:
        raise TypeError(f"save_network: expected {part.network.__name__}, got {type(network).__name__}.")
    with torch.device("meta"):
        plain = part.network(network.config).state_dict()
    if extra := network.state_dict().keys() - plain.keys():
        raise ValueError(
            f"save_network: {part.network.__name__} bears an adapter, with {_some(extra)}. With LoRA, save a "
            "copy after merge_lora."
        )
    named = names_in_file(network, part)
    weights = {name: weight.detach().to("cpu", dtype).contiguous() for name, (_, weight) in named.items()}
    if broken := [name for name, weight in weights.items() if not weight.isfinite().all()]:
        raise ValueError(f"save_network: {_some(broken)} hold values that {dtype} cannot. Training diverged.")
    _write_config(folder / "config.json", network.config)
    path = folder / part.file
    path.write_bytes(safetensors.torch.save(weights, metadata={"format": "pt"}))
    return path


def _weights_file(folder: Path, part: Part) -> Path:
    path = folder / part.file
    if path.is_file():
        return path
    others = sorted(other.name for other in folder.iterdir() if other.suffix in (".bin", ".safetensors"))
    raise FileNotFoundError(
        f"load_network: {path} is missing; beside it: {', '.join(others) or 'no weights'}. Pickled weights "
        "(.bin) are not read, for they can run code; a variant must bear the plain name."
    )


def _require_fit(path: Path, wanted: Mapping[str, tuple], found: Mapping[str, tuple]) -> None:
    both = wanted.keys() & found.keys()
    problems = {
        "missing": wanted.keys() - found.keys(),
        "left over": found.keys() - wanted.keys(),
        "of another shape": [
            f"{name} is {found[name]}, not {wanted[name]}" for name in both if wanted[name] != found[name]
        ],
    }
    lines = [f"{what} ({len(names)}): {_some(names)}" for what, names in problems.items() if names]
    if lines:
        raise LayoutError(
            f"load_network: {path} does not fit the config.json beside it.\n  " + "\n  ".join(lines)
        )


def _some(names: Iterable[str], most: int = 5) -> str:
    first, more = sorted(names)[:most], len(list(names)) - most
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def _require_positions(path: Path, positions: Tensor) -> None:
    if not torch.equal(positions.flatten().cpu(), torch.arange(positions.numel())):
        raise LayoutError(
            f"load_network: {path} numbers positions otherwise than 0, 1, 2: {positions.tolist()}."
        )


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"load: {path} is missing. A folder looks like this:\n{__doc__}")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _write_config(path: Path, config: Any) -> None:
    _write_json(path, {"_class_name": config.CLASS, **asdict(config), **config.fixed()})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
