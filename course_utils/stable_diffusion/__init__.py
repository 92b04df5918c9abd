"""Chapter 9: Stable Diffusion 1.x (Rombach et al. 2022, arXiv:2112.10752), from parts of earlier chapters.

    images         (B, 3, H, W) float in [-1, 1]    H and W multiples of the autoencoder's factor f (8)
    latents        (B, 4, H/f, W/f) float           the autoencoder's codes times its scaling factor
    moments        (B, 8, H/f, W/f) float           mean, then logvar, of the codes before scaling
    ids            (B, L) int64                     tokens of a prompt, padded to L (77)
    context        (B, L, D) float                  text states; cond is the prompt's, uncond that of ""
    t              (B,) int64, 0..T-1               noise levels, see course_utils.diffusion.forward
    eps, noise     like latents                     standard normal: for the autoencoder, for the diffusion
    scale          float                            guidance: 1 is none, see course_utils.diffusion.guidance

text_encoder     prompts to tokens to states
autoencoder_kl   images to latents and back
unet             the noise in latents, told the level and the text
scheduler        which levels to visit, and by which sampler
pipeline         text to image, image to image, inpainting
attention_maps   where each word of a prompt looks
adapters         LoRA and ControlNet
weights          all of it from, and to, a folder in the ecosystem's layout
"""
