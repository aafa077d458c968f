"""libtweedie.so without a binding: python3 ctypes_loop.py [libtweedie.so]. The network, here the
exact one of two points, -1 and 1, fills the loop's own memory: v = alpha eps - sigma x0."""

import ctypes as c
import math
import sys


class Question(c.Structure):  # tweedie_question of bindings/c/tweedie.h
    _fields_ = [(n, c.c_size_t) for n in ("step", "samples", "branches", "elements", "pitch")]
    _fields_ += [(n, c.c_double) for n in ("time", "alpha", "sigma")]
    _fields_ += [(n, c.POINTER(c.c_float)) for n in ("x", "out")]
    _fields_ += [("labels", c.POINTER(c.c_int32))]


lib = c.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libtweedie.so.0")
lib.tweedie_plan_from_recipe.restype = lib.tweedie_loop_start.restype = c.c_void_p
lib.tweedie_error.restype = c.c_char_p
plan = c.c_void_p(lib.tweedie_plan_from_recipe(b"sampler = 'heun'\nsteps = 30", b"cosine", b"v"))
shape, samples, ask = (c.c_size_t * 2)(100, 2), (c.c_float * 200)(), Question()
seed = c.c_uint64(7)
loop = c.c_void_p(lib.tweedie_loop_start(plan, shape, c.c_size_t(2), seed, None))
while (more := lib.tweedie_loop_next(loop, c.byref(ask))) == 1:
    for i in (row * ask.pitch + j for row in range(ask.samples) for j in range(ask.elements)):
        x0 = math.tanh(ask.alpha * ask.x[i] / ask.sigma**2)
        ask.out[i] = ask.alpha * (ask.x[i] - ask.alpha * x0) / ask.sigma - ask.sigma * x0
    lib.tweedie_loop_answer(loop)
if more or lib.tweedie_loop_samples(loop, samples, c.c_size_t(200)):
    sys.exit(lib.tweedie_error().decode())
near = sum(abs(abs(x) - 1) < 0.02 for x in samples) / 200
print(f"{near:.1%} of the coordinates are within 0.02 of a point")
sys.exit(near < 0.95)
