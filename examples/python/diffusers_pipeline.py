"""Pipelines of diffusers on a small network with random weights, with their own schedulers and with
Tweedie's: the same pictures. bench/python_pipeline.py measures them.

Needs torch and diffusers; it says so and ends where they are not.
"""

try:
    import diffusers
    import torch
except ImportError as e:
    print(f"left out: {e}")
    raise SystemExit(0)

from tweedie.diffusers import TweedieScheduler


def small_unet():
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ).eval()


def pictures_of(pipe, scheduler, steps=20):
    pipe.scheduler = scheduler  # after the pipeline is made, which makes one of its own
    generator = torch.Generator().manual_seed(4)
    drawn = pipe(
        batch_size=4, generator=generator, num_inference_steps=steps, output_type="np"
    ).images
    return drawn


def main():
    unet = small_unet()
    # Of v: random weights as epsilon make 3e-4 of the last digit of the first noise, by whatever
    # scheduler.
    v = {"prediction_type": "v_prediction"}
    for kind, theirs in (
        (diffusers.DDIMPipeline, diffusers.DDIMScheduler(**v)),
        (diffusers.DDPMPipeline, diffusers.DDPMScheduler(**v)),
    ):
        pipe = kind(unet=unet, scheduler=theirs)
        pipe.set_progress_bar_config(disable=True)
        a, b = (pictures_of(pipe, one) for one in (theirs, TweedieScheduler.from_config(theirs)))
        apart = float(abs(a - b).max())
        print(f"{kind.__name__}: at most {apart:.1e} apart, of pixels from 0 to 1")
        assert apart < 1e-5


if __name__ == "__main__":
    main()
