"""Folders: we read what diffusers writes, and it reads what we write; what does not fit is reported."""

import json
import logging
import shutil

import pytest
import safetensors.torch
import torch
from diffusers import AutoencoderKL, ControlNetModel, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from course_utils.stable_diffusion import weights
from course_utils.stable_diffusion.adapters import add_lora
from course_utils.stable_diffusion.scheduler import DDIM
from course_utils.stable_diffusion.weights import LayoutError

from . import peers
from .peers import DDIM as DDIM_CONFIG
from .peers import normal

PARTS = {"text_encoder": weights.TEXT_ENCODER, "unet": weights.UNET, "vae": weights.AUTOENCODER}


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(path, change):
    content = safetensors.torch.load_file(path)
    change(content)
    safetensors.torch.save_file(content, path)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("name", PARTS)
def test_every_weight_of_stable_diffusion_1_5_has_its_place(name: str, tmp_path) -> None:
    """The published sizes, without memory: names and shapes of our networks are those of the ecosystem."""
    with torch.device("meta"):
        peer = {
            "text_encoder": lambda: CLIPTextModel(CLIPTextConfig(**peers.FULL_TEXT)),
            "unet": lambda: UNet2DConditionModel(**peers.FULL_UNET),
            "vae": lambda: AutoencoderKL(**peers.FULL_AUTOENCODER),
        }[name]()
    peer.config.save_pretrained(tmp_path) if name == "text_encoder" else peer.save_config(tmp_path)
    config = weights.read_config(tmp_path / "config.json", PARTS[name].config)
    assert config == PARTS[name].config()  # our defaults are these sizes
    with torch.device("meta"):
        ours = PARTS[name].network(config)
    named = weights.names_in_file(ours, PARTS[name])
    theirs = {key: tuple(value.shape) for key, value in peer.state_dict().items()}
    if name == "text_encoder":  # older files, and ours, have this prefix
        theirs = {f"text_model.{key.removeprefix('text_model.')}": shape for key, shape in theirs.items()}
    assert {key: tuple(weight.shape) for key, (_, weight) in named.items()} == theirs
    millions = sum(weight.numel() for _, weight in named.values()) / 1e6
    assert millions == pytest.approx({"text_encoder": 123, "unet": 860, "vae": 84}[name], abs=0.6)


def test_what_we_save_diffusers_loads(ours, tmp_path, caplog) -> None:
    ours.scheduler = DDIM(**DDIM_CONFIG)
    weights.save(ours, tmp_path)
    with caplog.at_level(logging.WARNING):
        theirs = StableDiffusionPipeline.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert not [record.message for record in caplog.records if "not used" in record.message]
    theirs.set_progress_bar_config(disable=True)
    noise, prompts = normal(1, 4, 8, 8), ["a red seven"]
    images = theirs(
        prompts, latents=noise, num_inference_steps=3, output_type="pt", height=64, width=64
    ).images
    *_, end = ours.text_to_image(prompts, noise, steps=3)
    torch.testing.assert_close((ours.decode(end.x_t) + 1) / 2, images, rtol=0, atol=1e-3)


def test_what_we_save_we_load(ours, tmp_path) -> None:
    weights.save(ours, tmp_path)
    back = weights.load(tmp_path)
    assert back.scheduler == ours.scheduler and back.notice == ""
    for name in ("text_encoder", "unet", "autoencoder"):
        before, after = getattr(ours, name), getattr(back, name)
        assert before.config == after.config
        assert all(map(torch.equal, before.state_dict().values(), after.state_dict().values()))
        assert not after.training
    assert torch.equal(ours.tokenizer(peers.CAPTIONS), back.tokenizer(peers.CAPTIONS))


def test_half_precision_is_read_as_asked(ours, tmp_path) -> None:
    weights.save(ours, tmp_path, dtype=torch.float16)
    stored = safetensors.torch.load_file(tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    back = weights.load(tmp_path)
    assert back.unet.out.weight.dtype == torch.float32
    torch.testing.assert_close(back.unet.out.weight, ours.unet.out.weight, rtol=1e-3, atol=1e-4)
    assert weights.load(tmp_path, dtype=torch.float64).unet.out.weight.dtype == torch.float64


def test_files_of_older_versions_are_read(ours, copy) -> None:
    """Stable Diffusion 1.5's own files: other names in the autoencoder, numbered positions, a checker."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def rename(content):
        for key in [key for key in content if "attentions" in key]:
            name = key
            for new, older in old.items():
                name = name.replace(f".{new}.", f".{older}.")
            content[name] = content.pop(key)

    def prefix(content):
        for key in list(content):
            content[f"text_model.{key.removeprefix('text_model.')}"] = content.pop(key)
        content["text_model.embeddings.position_ids"] = torch.arange(77)[None]

    edit_weights(copy / "vae" / "diffusion_pytorch_model.safetensors", rename)
    edit_weights(copy / "text_encoder" / "model.safetensors", prefix)
    (copy / "safety_checker").mkdir()
    edit_json(copy / "model_index.json", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    back = weights.load(copy)
    assert back.notice == "The folder's safety checker is left aside: nothing filters the images."
    for name in ("text_encoder", "autoencoder"):
        before, after = getattr(ours, name).state_dict(), getattr(back, name).state_dict()
        assert all(map(torch.equal, before.values(), after.values()))


def test_positions_in_another_order_are_refused(copy) -> None:
    path = copy / "text_encoder" / "model.safetensors"
    edit_weights(path, lambda content: content.update({weights.POSITION_IDS: torch.arange(77).flip(0)[None]}))
    with pytest.raises(LayoutError, match="numbers positions otherwise than 0, 1, 2"):
        weights.load(copy)


def test_weights_under_two_names_are_refused(copy) -> None:
    def repeat(content):
        for key in list(content):
            content[f"text_model.{key.removeprefix('text_model.')}"] = content[key].clone()
            content[key.removeprefix("text_model.")] = content[key].clone()

    edit_weights(copy / "text_encoder" / "model.safetensors", repeat)
    with pytest.raises(LayoutError, match="holds weights twice, under older and newer names"):
        weights.load(copy)


def test_the_report_lists_all_that_does_not_fit(copy) -> None:
    def spoil(content):
        del content["conv_in.weight"]
        for i in range(7):
            content[f"extra.{i}"] = torch.zeros(1)
        content["conv_out.bias"] = torch.zeros(3)

    edit_weights(copy / "unet" / "diffusion_pytorch_model.safetensors", spoil)
    with pytest.raises(LayoutError) as caught:
        weights.load(copy)
    assert str(caught.value).splitlines()[1:] == [
        "  missing (1): conv_in.weight",
        "  left over (7): extra.0, extra.1, extra.2, extra.3, extra.4 and 2 more",
        "  of another shape (1): conv_out.bias is (3,), not (4,)",
    ]


@pytest.mark.parametrize(
    ("part", "change", "line"),
    [
        ("unet", {"act_fn": "gelu"}, "act_fn = 'gelu', not 'silu'"),
        ("unet", {"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift = 'scale_shift', not"),
        ("unet", {"class_embed_type": "timestep"}, "class_embed_type = 'timestep'"),
        ("unet", {"freq_shift": 1}, "freq_shift = 1, not 0"),
        ("unet", {"an_option_of_tomorrow": True}, "an_option_of_tomorrow = True"),
        ("vae", {"_class_name": "AutoencoderTiny"}, "_class_name = 'AutoencoderTiny', not 'AutoencoderKL'"),
        ("vae", {"shift_factor": 0.1}, "shift_factor = 0.1"),
        ("text_encoder", {"model_type": "t5"}, "model_type = 't5', not 'clip_text_model'"),
    ],
)
def test_options_that_are_not_implemented_are_refused(copy, part, change, line) -> None:
    edit_json(copy / part / "config.json", **change)
    with pytest.raises(LayoutError, match="asks for what is not implemented here") as caught:
        weights.load(copy)
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("unet", {"down_block_types": ["AttnDownBlock2D"] * 3}, "down_block_types must name 3 of CrossAttn"),
        ("unet", {"up_block_types": ["UpBlock2D"] * 2}, "up_block_types must name 3 of .*'UpBlock2D'"),
        ("text_encoder", {"hidden_act": "relu"}, "hidden_act must be one of quick_gelu, gelu, got 'relu'"),
    ],
)
def test_unknown_blocks_and_activations_are_refused(copy, part, change, message) -> None:
    edit_json(copy / part / "config.json", **change)
    with pytest.raises(ValueError, match=message):
        weights.load(copy)


@pytest.mark.parametrize(
    "index",
    [{"_class_name": "FluxPipeline"}, {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}],
)
def test_other_pipelines_are_refused(copy, index) -> None:
    edit_json(copy / "model_index.json", **index)
    with pytest.raises(LayoutError, match=r"what is implemented is Stable Diffusion 1\.x"):
        weights.load(copy)


def test_missing_files_are_named(copy) -> None:
    unet = copy / "unet" / "diffusion_pytorch_model.safetensors"
    unet.rename(unet.with_suffix(".bin"))
    with pytest.raises(
        FileNotFoundError, match=r"is missing; beside it: diffusion_pytorch_model\.bin\. Pickled"
    ):
        weights.load(copy)
    (copy / "vae" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"vae/config\.json is missing\. A folder looks like this"):
        weights.load_network(copy / "vae", weights.AUTOENCODER)
    with pytest.raises(FileNotFoundError, match=r"model_index\.json is missing"):
        weights.load(copy / "nowhere")


def test_what_half_precision_cannot_hold_is_refused_and_nothing_is_written(ours, tmp_path) -> None:
    network = weights.UNET.network(ours.unet.config)
    network.out.bias.data[1] = 1e6
    with pytest.raises(
        ValueError, match=r"save_network: conv_out\.bias hold values that torch\.float16 cannot"
    ):
        weights.save_network(network, tmp_path, weights.UNET, torch.float16)
    assert not list(tmp_path.iterdir())


def test_a_unet_with_adapters_is_not_saved_by_mistake(ours, tmp_path) -> None:
    with pytest.raises(TypeError, match="expected UNet, got function"):
        weights.save_network(lambda: None, tmp_path, weights.UNET)
    network = weights.UNET.network(ours.unet.config)
    add_lora(network, 2, 1.0)
    with pytest.raises(ValueError, match=r"save_network: UNet bears an adapter, .* merge_lora"):
        weights.save_network(network, tmp_path, weights.UNET)


def test_the_folder_is_the_hubs_or_the_courses(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    assert weights.model_folder(tmp_path) == tmp_path
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(folder))
    assert weights.model_folder(tmp_path) == folder
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"SD_MODEL_DIR names .*nowhere.*stable-diffusion-v1-5/"):
        weights.model_folder(tmp_path)


def test_a_controlnet_is_read_and_written(peer, tmp_path) -> None:
    theirs = peers.awake(ControlNetModel.from_unet(peer.unet))
    theirs.save_pretrained(tmp_path / "theirs")
    ours = weights.load_network(tmp_path / "theirs", weights.CONTROLNET)
    weights.save_network(ours, tmp_path / "ours", weights.CONTROLNET)
    back = ControlNetModel.from_pretrained(tmp_path / "ours", low_cpu_mem_usage=False)
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in theirs.state_dict().items())
