"""A pipeline of diffusers on a small network, with its own scheduler and with Tweedie's: the same
pictures.

Needs torch and diffusers; it says so and ends where they are not.
"""

import time

try:
    import diffusers
    import torch
except ImportError as e:
    print(f"left out: {e}")
    raise SystemExit(0)

from tweedie.diffusers import TweedieScheduler


def main():
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ).eval()
    pipe = diffusers.DDIMPipeline(unet=unet, scheduler=diffusers.DDIMScheduler())
    pipe.set_progress_bar_config(disable=True)
    pictures = []
    for scheduler in (pipe.scheduler, TweedieScheduler.from_config(pipe.scheduler)):
        pipe.scheduler = scheduler
        begin = time.perf_counter()
        drawn = pipe(
            batch_size=4,
            generator=torch.Generator().manual_seed(4),
            num_inference_steps=20,
            output_type="np",
        )
        print(f"{type(scheduler).__name__}: {time.perf_counter() - begin:.2f} s")
        pictures.append(drawn.images)
    print(f"at most {abs(pictures[0] - pictures[1]).max():.1e} apart, of pixels from 0 to 1")


if __name__ == "__main__":
    main()
