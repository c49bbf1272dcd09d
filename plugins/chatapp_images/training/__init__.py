"""Training the small model that draws icons: data, latents, text encoder, UNet, evaluation, export.

Run as `python -m chatapp_images.training STEP`; it is not part of the wheel. README.md tells how and why.
"""
