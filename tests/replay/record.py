"""Writes ends.json: what diffusers computes in few steps, and where its configurations have ends
that its own defaults do not meet.

Run by a Python that has the versions of bench/peers/requirements.txt and SciPy:
.deps/peers/bin/python tests/replay/record.py
"""

import inspect
import json
import math
import pathlib
import warnings

import diffusers
import torch

SHAPE = (2, 3, 4, 4)
PICKED = list(range(0, math.prod(SHAPE), 8))
ZERO_SNR = {
    "rescale_betas_zero_snr": True,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
}
STABLE_DIFFUSION = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
CLASSES = (
    "DDIM DDPM DPMSolverMultistep EulerDiscrete EulerAncestralDiscrete HeunDiscrete "
    "UniPCMultistep FlowMatchEulerDiscrete LCM TCD PNDM IPNDM LMSDiscrete KDPM2Discrete "
    "KDPM2AncestralDiscrete DEISMultistep SASolver DPMSolverSinglestep DPMSolverMultistepInverse "
    "DDIMInverse EDMEuler EDMDPMSolverMultistep FlowMatchHeunDiscrete CMStochasticIterative"
).split()
# (class, configuration, numbers of steps, arguments of step)
SPECIAL = [
    *((name, {}, (1, 2, 3), {}) for name in CLASSES),
    ("DDIM", ZERO_SNR, (2, 10), {}),
    ("DDIM", {"timestep_spacing": "linspace"}, (3, 7), {"eta": 1.0}),
    ("DDIM", {"set_alpha_to_one": False}, (3,), {}),
    ("DDIMInverse", {"set_alpha_to_one": False}, (3, 6), {}),
    ("DDIMInverse", {"clip_sample_range": 0.5}, (5,), {}),
    ("PNDM", {"skip_prk_steps": True}, (1, 2, 3, 5), {}),
    ("EulerDiscrete", ZERO_SNR, (5,), {}),
    ("EulerDiscrete", {}, (5,), {"s_churn": 1.0}),
    ("EulerDiscrete", {"interpolation_type": "log_linear"}, (5, 10), {"s_churn": 1.0}),
    ("EulerDiscrete", {"prediction_type": "v_prediction"}, (5,), {"s_churn": 2.0}),
    ("DPMSolverMultistep", {"final_sigmas_type": "sigma_min"}, (1, 3), {}),
    ("DPMSolverMultistep", {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}, (2, 16), {}),
    ("DPMSolverMultistep", {"use_lu_lambdas": True, **STABLE_DIFFUSION}, (6,), {}),
    (
        "DPMSolverMultistep",
        {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min", **STABLE_DIFFUSION},
        (3, 6),
        {},
    ),
    ("DPMSolverMultistepInverse", {"timestep_spacing": "trailing"}, (1, 5), {}),
    ("DPMSolverMultistepInverse", {"lambda_min_clipped": -1.0}, (6,), {}),
    ("DPMSolverSinglestep", {"solver_order": 3, "lower_order_final": True}, (4, 5, 6, 7), {}),
    ("UniPCMultistep", {"solver_order": 3, "disable_corrector": [0, 2]}, (5,), {}),
    (
        "UniPCMultistep",
        {"predict_x0": False, "final_sigmas_type": "sigma_min", "thresholding": True},
        (5,),
        {},
    ),
    (
        "UniPCMultistep",
        {"final_sigmas_type": "sigma_min", "use_karras_sigmas": True, "sigma_min": 0.2},
        (5,),
        {},
    ),
    ("LMSDiscrete", {"use_karras_sigmas": True}, (5,), {"order": 2}),
    ("SASolver", {"predictor_order": 3, "corrector_order": 1}, (6,), {}),
    ("EDMEuler", {"sigma_schedule": "exponential", "final_sigmas_type": "sigma_min"}, (1, 4), {}),
    ("TCD", STABLE_DIFFUSION, (4,), {"eta": 1.0}),
]


def network(x, t):
    return torch.tanh(1.3 * x + 0.2 * math.sin(0.01 * float(t)))


def recorded(name, config, steps, arguments):
    scheduler = getattr(diffusers, name + "Scheduler")(**config)
    scheduler.set_timesteps(steps)
    sigma = getattr(scheduler, "init_noise_sigma", 1.0)
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)) * sigma
    more = dict(arguments)
    if "generator" in inspect.signature(scheduler.step).parameters:
        more["generator"] = torch.Generator().manual_seed(0)
    scaled = getattr(scheduler, "scale_model_input", lambda x, t: x)
    norms = []
    for t in scheduler.timesteps:
        x = scheduler.step(network(scaled(x, t), t), t, x, **more).prev_sample
        norms.append(float(x.double().norm()))
    if not torch.isfinite(x).all():
        return None
    return {
        "scheduler_config": {**config, "_class_name": name + "Scheduler"},
        "set_timesteps": {"num_inference_steps": steps},
        "step": arguments,
        "network": "tanh",
        "timesteps": [float(t) for t in scheduler.timesteps],
        "l2": float(x.double().norm()),
        "abs_max": float(x.abs().max()),
        "picked": [float(x.flatten()[i]) for i in PICKED],
        "l2_per_step": norms,
    }


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return value


def main():
    warnings.simplefilter("ignore")
    diffusers.logging.set_verbosity_error()
    cases = []
    for name, config, numbers, arguments in SPECIAL:
        for steps in numbers:
            try:
                case = recorded(name, config, steps, arguments)
            except (ValueError, IndexError) as e:  # what theirs cannot
                print(f"{name} {config} in {steps} steps: {e}")
                continue
            if case is None:
                print(f"{name} {config} in {steps} steps: not finite")
                continue
            case = {key: rounded(value) for key, value in case.items()}
            cases.append({"id": f"{name}Scheduler/{len(cases)}", **case})
    meta = {
        "format": "tweedie replay 1",
        "made_with": f"diffusers {diffusers.__version__}, torch {torch.__version__}",
        "shape": SHAPE,
        "picked_indices": PICKED,
    }
    lines = ",\n".join(json.dumps(one) for one in cases)
    path = pathlib.Path(__file__).with_name("ends.json")
    path.write_text(f'{{"meta": {json.dumps(meta)},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
