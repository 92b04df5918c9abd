"""What the ecosystem's files call the weights of these networks.

A renaming is a row of (pattern, replacement), applied one after the other to the name of a parameter:
"down.0.1.residual.time.bias" in UNet is "down_blocks.0.resnets.1.time_emb_proj.bias" in the file.
"""

import re
from typing import TypeAlias

Renaming: TypeAlias = tuple[tuple[str, str], ...]

RESIDUAL: Renaming = (
    (r"(resnets\.\d+)\.time\.", r"\1.time_emb_proj."),
    (r"(resnets\.\d+)\.skip\.", r"\1.conv_shortcut."),
)
MIDDLE: Renaming = (
    (r"middle\.before\.", "mid_block.resnets.0."),
    (r"middle\.attention\.", "mid_block.attentions.0."),
    (r"middle\.after\.", "mid_block.resnets.1."),
)
TO_UNET: Renaming = (
    (r"^time\.0\.", "time_embedding.linear_1."),
    (r"^time\.2\.", "time_embedding.linear_2."),
    (r"^stem\.conv\.", "conv_in."),
    (r"^norm\.", "conv_norm_out."),
    (r"^out\.", "conv_out."),
    (r"^down\.(\d+)\.\d+\.conv\.", r"down_blocks.\1.downsamplers.0.conv."),
    (r"^up\.(\d+)\.\d+\.resample\.", r"up_blocks.\1.upsamplers.0."),
    (r"^(down|up)\.(\d+)\.(\d+)\.residual\.", r"\1_blocks.\2.resnets.\3."),
    (r"^(down|up)\.(\d+)\.(\d+)\.attention\.", r"\1_blocks.\2.attentions.\3."),
    *MIDDLE,
    *RESIDUAL,
    (r"\.enter\.", ".proj_in."),
    (r"\.leave\.", ".proj_out."),
    (r"(attentions\.\d+)\.norm([123])\.", r"\1.transformer_blocks.0.norm\2."),
    (r"\.attend_pixels\.", ".transformer_blocks.0.attn1."),
    (r"\.attend_text\.", ".transformer_blocks.0.attn2."),
    (r"(attn[12])\.([qkv])\.", r"\1.to_\2."),
    (r"(attn[12])\.out\.", r"\1.to_out.0."),
    (r"\.feed\.grow\.", ".transformer_blocks.0.ff.net.0.proj."),
    (r"\.feed\.shrink\.", ".transformer_blocks.0.ff.net.2."),
)
TO_CONTROLNET: Renaming = (
    (r"^hint\.stem\.", "controlnet_cond_embedding.conv_in."),
    (r"^hint\.blocks\.", "controlnet_cond_embedding.blocks."),
    (r"^hint\.out\.", "controlnet_cond_embedding.conv_out."),
    (r"^zero\.", "controlnet_down_blocks."),
    (r"^zero_middle\.", "controlnet_mid_block."),
    *TO_UNET,
)
TO_AUTOENCODER: Renaming = (
    (r"^((?:post_)?quant)\.", r"\1_conv."),
    (r"coder\.stem\.", "coder.conv_in."),
    (r"coder\.norm\.", "coder.conv_norm_out."),
    (r"coder\.out\.", "coder.conv_out."),
    (r"(down|up)\.(\d+)\.\d+\.conv\.", r"\1_blocks.\2.\1samplers.0.conv."),
    (r"(down|up)\.(\d+)\.(\d+)\.", r"\1_blocks.\2.resnets.\3."),
    *MIDDLE,
    *RESIDUAL,
    (r"(attentions\.0)\.norm\.", r"\1.group_norm."),
    (r"(attentions\.0)\.attend\.([qkv])\.", r"\1.to_\2."),
    (r"(attentions\.0)\.attend\.out\.", r"\1.to_out.0."),
)
TO_TEXT_ENCODER: Renaming = (
    (r"^tokens\.", "embeddings.token_embedding."),
    (r"^positions\.", "embeddings.position_embedding."),
    (r"^norm\.", "final_layer_norm."),
    (r"^layers\.", "encoder.layers."),
    (r"(layers\.\d+)\.norm([12])\.", r"\1.layer_norm\2."),
    (r"(layers\.\d+)\.attend\.(\w+)\.", r"\1.self_attn.\2_proj."),
    (r"(layers\.\d+)\.grow\.", r"\1.mlp.fc1."),
    (r"(layers\.\d+)\.shrink\.", r"\1.mlp.fc2."),
    (r"^", "text_model."),
)
# Names in files that were written by other versions of the libraries, and what they are called now.
OLD_AUTOENCODER: Renaming = (
    (r"(attentions\.0)\.query\.", r"\1.to_q."),
    (r"(attentions\.0)\.key\.", r"\1.to_k."),
    (r"(attentions\.0)\.value\.", r"\1.to_v."),
    (r"(attentions\.0)\.proj_attn\.", r"\1.to_out.0."),
)
OTHER_TEXT_ENCODER: Renaming = ((r"^(?!text_model\.)", "text_model."),)
POSITION_IDS = "text_model.embeddings.position_ids"  # 0..L-1, stored by older versions


def renamed(name: str, renaming: Renaming) -> str:
    for pattern, replacement in renaming:
        name = re.sub(pattern, replacement, name)
    return name
