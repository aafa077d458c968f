"""Cells that are further from the truth than the product allows, each with the reason.

`of` says of a cell (a dictionary of its columns) whether it is meant; `up_to` is the worst that is
known, in units of the bound: what gets worse than that is wrong again.
"""


def _named(*samplers):
    return lambda cell: cell["sampler"] in samplers and "grid" in cell


EXCEPTIONS = [
    dict(
        name="methods in sigma / alpha at few steps", up_to=3.8,
        of=_named("heun_in_rho", "dpm_solver_2", "edm_stochastic", "edm_stochastic 0.2"), reason=
        "the papers' variable; a step in it that is longer than 4 sizes of x is refused, and below that their error grows faster "
        "than `ddim`'s. `heun` is the form without it."),
    dict(name="order 3 at 5 and 10 steps", up_to=2.4, of=_named("dpmpp_3m", "dpmpp_3m_published"),
         reason="a parabola through x0 overshoots where steps in lambda are 1.5 and more."),
    dict(
        name="B(h) = h of UniPC", up_to=4, of=_named("unipc_2 h"), reason=
        "the paper's other choice, meant for small h; `unipc_2` by its defaults has the one that "
        "holds for any."
    ),
    dict(name="variance beta where alpha = 1", up_to=1.3, of=_named("ancestral beta"),
         reason="the larger of DDPM's two variances: the law is that much too wide."),
    dict(
        name="a long last step of the SDE", up_to=1.4, of=_named("sde_dpmpp_2m"), reason=
        "`leading` and `linspace` end with one step in lambda that is many times those before."),
    dict(
        name="Euler-Maruyama at few steps", up_to=12, of=_named("euler_maruyama"), reason=
        "the law of the method itself, explicit and of weak order 1: steps that take more than 1.25 times the noise that is there "
        "are refused, those below are as wide as they are."),
    dict(
        name="slopes followed back to noise", up_to=1.6,
        of=lambda cell: cell["sampler"] == "lms_3" and cell.get("grid", "").endswith("encoding"),
        reason=
        "from the clean end each step in sigma / alpha is nearly twice as long as the one before: at 10 steps the polynomials "
        "through the slopes are worse than Euler's method."),
]
