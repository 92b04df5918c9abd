"""Where words look, against attention scores taken from diffusers' own layers."""

import pytest
import torch
import torch.nn.functional as F

from course_utils.stable_diffusion.attention_maps import record_attention

from .peers import normal

PROMPTS = ["a red seven", "a green three left of a yellow eight"]
SIZE = (8, 12)


class Scores:
    """A processor of diffusers that computes attention step by step and keeps the scores on text."""

    def __init__(self, kept):
        self.kept = kept

    def __call__(self, layer, hidden_states, encoder_hidden_states=None, attention_mask=None):
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = layer.to_q(hidden_states), layer.to_k(seen), layer.to_v(seen)
        q, k, v = (layer.head_to_batch_dim(one) for one in (q, k, v))
        scores = layer.get_attention_scores(q, k, attention_mask)
        if encoder_hidden_states is not None:
            self.kept.append(scores.unflatten(0, (len(hidden_states), -1)))
        out = layer.batch_to_head_dim(torch.bmm(scores, v))
        return layer.to_out[1](layer.to_out[0](out))


def test_maps_are_those_of_diffusers_scores(ours, peer) -> None:
    latents, t, context = normal(2, 4, *SIZE), torch.tensor([3, 700]), ours.context(PROMPTS)
    kept: list[torch.Tensor] = []
    before = peer.unet.attn_processors
    peer.unet.set_attn_processor(Scores(kept))
    with torch.no_grad():
        peer.unet(latents, t, context)
    peer.unet.set_attn_processor(before)
    with record_attention(ours.unet, batch=2, size=SIZE) as recorded, torch.no_grad():
        ours.unet(latents, t, context)
    assert len(kept) == 2 * 2 + 1 + 3 * 2
    heights = {8 * 12: 8, 4 * 6: 4, 2 * 3: 2}
    maps = [
        F.interpolate(
            one.mean(dim=1).transpose(1, 2).unflatten(2, (heights[one.shape[2]], -1)), SIZE, mode="bilinear"
        )
        for one in kept
    ]
    torch.testing.assert_close(recorded.maps, torch.stack(maps).mean(dim=0), rtol=1e-4, atol=1e-5)


def test_shares_of_all_tokens_add_up_and_guidance_counts_the_prompt_only(ours) -> None:
    noise = normal(2, 4, *SIZE)
    with record_attention(ours.unet, batch=2, size=SIZE) as alone:
        list(ours.text_to_image(PROMPTS, noise, steps=2, scale=1.0))
    with record_attention(ours.unet, batch=2, size=SIZE) as joined:
        first = next(ours.text_to_image(PROMPTS, noise, steps=2, scale=7.5))
    with record_attention(ours.unet, batch=2, size=SIZE) as conditional:
        next(ours.text_to_image(PROMPTS, noise, steps=2, scale=1.0))
    assert first.x_t.shape == noise.shape
    torch.testing.assert_close(alone.maps.sum(dim=1), torch.ones(2, *SIZE))
    torch.testing.assert_close(joined.maps, conditional.maps)


def test_words_have_the_maps_of_their_tokens(ours) -> None:
    with record_attention(ours.unet, batch=2, size=SIZE) as recorded, torch.no_grad():
        ours.unet(normal(2, 4, *SIZE), torch.tensor([3, 700]), ours.context(PROMPTS))
    of_prompts = recorded.words(ours.tokenizer, PROMPTS)
    assert [[word.text for word in words] for words in of_prompts] == [prompt.split() for prompt in PROMPTS]
    for words, prompt, maps in zip(of_prompts, PROMPTS, recorded.maps, strict=True):
        for word, tokens in zip(words, ours.tokenizer.words(prompt), strict=True):
            torch.testing.assert_close(word.map, sum(maps[i] for i in tokens.positions))


def test_nothing_is_recorded_outside(ours) -> None:
    with record_attention(ours.unet, batch=1, size=SIZE) as recorded:
        pass
    with torch.no_grad():
        ours.unet(normal(1, 4, *SIZE), torch.tensor([3]), ours.context(PROMPTS[:1]))
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        _ = recorded.maps
    assert not any(layer._forward_pre_hooks for layer in ours.unet.modules())
