"""Configurations of diffusers' schedulers that are followed, and what set_timesteps and step are
given.
"""

BETAS = [{"beta_schedule": s} for s in ("linear", "squaredcos_cap_v2")] + [
    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
]
STABLE_DIFFUSION = {**BETAS[2], "num_train_timesteps": 1000, "steps_offset": 1}
TRAINED = {"trained_betas": [0.001 + 0.0004 * i for i in range(40)], "num_train_timesteps": 40}


def _of(name, *configs):
    return [({"_class_name": name + "Scheduler", **c}, n, k) for c, n, k in configs]


# (configuration, number of steps, arguments of step)
CONFIGURATIONS = [
    *_of(
        "DDIM",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "clip_sample": False, "set_alpha_to_one": False}, 20, {}),
        ({**BETAS[1], "prediction_type": "v_prediction"}, 7, {}),
        ({**BETAS[0], "prediction_type": "sample", "timestep_spacing": "trailing"}, 8, {}),
        ({"clip_sample": False, "thresholding": True}, 10, {}),
        (
            {"thresholding": True, "sample_max_value": 1.5, "dynamic_thresholding_ratio": 0.8},
            10,
            {},
        ),
        ({"clip_sample_range": 2.0}, 10, {"use_clipped_model_output": True}),
        (
            {
                "rescale_betas_zero_snr": True,
                "prediction_type": "v_prediction",
                "timestep_spacing": "trailing",
            },
            10,
            {},
        ),
        (TRAINED, 10, {}),
        ({**BETAS[1]}, 10, {"eta": 0.7}),
    ),
    *_of(
        "DDPM",
        ({}, 10, {}),
        ({"variance_type": "fixed_large", "clip_sample": False, **BETAS[1]}, 12, {}),
        (
            {
                "variance_type": "fixed_small_log",
                "prediction_type": "v_prediction",
                "timestep_spacing": "trailing",
            },
            9,
            {},
        ),
        (
            {"timestep_spacing": "linspace", "prediction_type": "sample", "clip_sample_range": 0.5},
            11,
            {},
        ),
    ),
    *_of(
        "DPMSolverMultistep",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "use_karras_sigmas": True}, 20, {}),
        ({**STABLE_DIFFUSION, "timestep_spacing": "leading", "solver_type": "heun"}, 12, {}),
        ({**BETAS[1], "lambda_min_clipped": -5.1, "prediction_type": "v_prediction"}, 12, {}),
        ({"final_sigmas_type": "sigma_min"}, 20, {}),
        ({"final_sigmas_type": "sigma_min", "timestep_spacing": "leading"}, 10, {}),
        (
            {"final_sigmas_type": "sigma_min", "lower_order_final": False, "euler_at_final": True},
            10,
            {},
        ),
        ({"solver_order": 1, "timestep_spacing": "trailing"}, 10, {}),
        ({"thresholding": True}, 10, {}),
        ({**STABLE_DIFFUSION, "algorithm_type": "sde-dpmsolver++"}, 12, {}),
        (
            {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun", "use_karras_sigmas": True},
            12,
            {},
        ),
        ({"solver_order": 3}, 10, {}),
        ({**STABLE_DIFFUSION, "solver_order": 3, "use_karras_sigmas": True}, 20, {}),
    ),
    *_of(
        "EulerDiscrete",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "timestep_spacing": "leading"}, 20, {}),
        ({**STABLE_DIFFUSION, "use_karras_sigmas": True}, 15, {}),
        ({"use_exponential_sigmas": True, "prediction_type": "v_prediction"}, 15, {}),
        ({"use_karras_sigmas": True, "sigma_min": 0.03, "sigma_max": 14.0}, 15, {}),
        (
            {
                "timestep_spacing": "trailing",
                "prediction_type": "v_prediction",
                "rescale_betas_zero_snr": True,
            },
            10,
            {},
        ),
    ),
    *_of(
        "EulerAncestralDiscrete",
        ({}, 10, {}),
        (
            {**STABLE_DIFFUSION, "timestep_spacing": "leading", "prediction_type": "v_prediction"},
            20,
            {},
        ),
    ),
    *_of(
        "HeunDiscrete",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "use_karras_sigmas": True}, 12, {}),
        ({"timestep_spacing": "trailing", "clip_sample": True}, 10, {}),
        (
            {"timestep_spacing": "leading", "steps_offset": 1, "prediction_type": "v_prediction"},
            10,
            {},
        ),
    ),
    *_of(
        "UniPCMultistep",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "solver_type": "bh1", "final_sigmas_type": "sigma_min"}, 20, {}),
        ({"solver_order": 1, "prediction_type": "v_prediction"}, 9, {}),
        ({"use_karras_sigmas": True, "timestep_spacing": "trailing"}, 12, {}),
        ({"final_sigmas_type": "sigma_min", "timestep_spacing": "leading"}, 12, {}),
        ({"use_exponential_sigmas": True, "thresholding": True}, 10, {}),
    ),
    *_of(
        "FlowMatchEulerDiscrete",
        ({}, 10, {}),
        ({"shift": 3.0}, 28, {}),
        ({"shift": 3.0, "shift_terminal": 0.1}, 10, {}),
        ({"use_dynamic_shifting": True, "mu": 1.15}, 10, {}),
    ),
    *_of(
        "LCM", ({}, 4, {}), ({"timestep_scaling": 0.01, "prediction_type": "v_prediction"}, 8, {})
    ),
    *_of(
        "TCD",
        ({}, 5, {}),
        ({**BETAS[0], "prediction_type": "v_prediction"}, 4, {"eta": 0.0}),
        ({**BETAS[1], "prediction_type": "sample"}, 4, {"eta": 1.0}),
    ),
    *_of(
        "PNDM",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "skip_prk_steps": True}, 12, {}),
        ({**BETAS[1], "prediction_type": "v_prediction", "set_alpha_to_one": True}, 7, {}),
        ({"timestep_spacing": "trailing", "skip_prk_steps": True}, 1, {}),
    ),
    *_of("IPNDM", ({}, 10, {}), ({}, 2, {})),
    *_of(
        "LMSDiscrete",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "use_karras_sigmas": True}, 8, {}),
        ({**BETAS[0], "prediction_type": "v_prediction", "timestep_spacing": "trailing"}, 9, {}),
    ),
    *_of(
        "KDPM2Discrete",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "use_karras_sigmas": True}, 8, {}),
        ({**BETAS[0], "prediction_type": "v_prediction", "timestep_spacing": "leading"}, 9, {}),
    ),
    *_of(
        "KDPM2AncestralDiscrete",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "use_karras_sigmas": True}, 8, {}),
        ({**BETAS[0], "prediction_type": "v_prediction", "timestep_spacing": "leading"}, 9, {}),
    ),
    *_of(
        "DEISMultistep",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "solver_order": 3, "timestep_spacing": "trailing"}, 16, {}),
        ({**BETAS[0], "solver_order": 1, "prediction_type": "v_prediction"}, 9, {}),
    ),
    *_of(
        "SASolver",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "predictor_order": 3, "corrector_order": 3}, 12, {}),
        ({**BETAS[0], "predictor_order": 1, "prediction_type": "v_prediction"}, 9, {}),
    ),
    *_of(
        "DPMSolverSinglestep",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "solver_order": 3, "lower_order_final": True}, 12, {}),
        ({**BETAS[0], "solver_type": "heun", "use_karras_sigmas": True}, 11, {}),
    ),
    *_of(
        "DPMSolverMultistepInverse",
        ({}, 10, {}),
        ({**STABLE_DIFFUSION, "solver_order": 3}, 16, {}),
    ),
    *_of("DDIMInverse", ({"clip_sample": False}, 10, {}), ({**STABLE_DIFFUSION}, 12, {})),
    *_of(
        "EDMEuler",
        ({}, 10, {}),
        ({"sigma_schedule": "exponential", "prediction_type": "v_prediction"}, 8, {}),
    ),
    *_of(
        "EDMDPMSolverMultistep",
        ({}, 10, {}),
        ({"sigma_schedule": "exponential", "solver_order": 3, "sigma_max": 20.0}, 16, {}),
    ),
    *_of("FlowMatchHeunDiscrete", ({}, 10, {}), ({"shift": 3.0}, 2, {})),
    *_of("CMStochasticIterative", ({}, 4, {}), ({"clip_denoised": False}, 2, {}), ({}, 1, {})),
]


def split(config):
    """The configuration, and what set_timesteps is given beside the number of steps."""
    config = dict(config)
    mu = config.pop("mu", None)
    return config, {} if mu is None else {"mu": mu}


def name_of(case):
    config, steps, arguments = case
    parts = [config["_class_name"].removesuffix("Scheduler"), str(steps)]
    for key, value in {**config, **arguments}.items():
        if key != "_class_name":
            parts.append(f"{key}={'...' if isinstance(value, list) else value}")
    return " ".join(parts)
