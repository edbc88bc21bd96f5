"""Step times to try: shapes of three architectures, drawn terms, a known truth and its probes."""

from hypothesis import strategies as st
from model_shapes import DENSE, LATENT, WINDOWED

from costaudit.target.load import StepLoad, decode_load, prefill_load
from costaudit.whatif.fit import StepPoint, fit
from costaudit.whatif.form import COLUMNS
from costaudit.whatif.steptime import Peaks, StepTime

SHAPES = (DENSE, WINDOWED, LATENT)

shapes = st.sampled_from(SHAPES)
peaks_of_a_machine = st.builds(
    Peaks,
    flops_per_s=st.floats(1e9, 1e13),
    bandwidth_bytes_per_s=st.floats(1e9, 1e12),
    link_bytes_per_s=st.none() | st.floats(1e9, 1e12),
    devices=st.sampled_from([1, 2, 8]),
)
coefficients = st.fixed_dictionaries(
    {
        name: st.floats(0.0, 1e-3) if name in {"overhead", "sequences"} else st.floats(0.0, 4.0)
        for name in COLUMNS
    }
)
loads = st.builds(
    StepLoad,
    prefill_tokens=st.integers(0, 2048),
    prefill_pairs=st.integers(0, 10**6),
    prefill_seqs=st.integers(0, 4),
    decode_seqs=st.integers(0, 64),
    decode_context_tokens=st.integers(0, 64 * 100),
)


@st.composite
def step_times(draw):
    return StepTime(
        shape=draw(shapes),
        peaks=draw(peaks_of_a_machine),
        param_bytes=draw(st.sampled_from([4.0, 1.0, 0.5])),
        kv_element_bytes=draw(st.sampled_from([4.0, 1.0])),
        coefficients=draw(coefficients),
        ideal_kernels=draw(st.booleans()),
    )


def truth(shape=DENSE, **changes):
    values = {
        "overhead": 2e-4,
        "sequences": 1e-5,
        "weights": 1.3,
        "kv": 2.0,
        "decode_compute": 1.2,
        "prefill_compute": 1.4,
    }
    return StepTime(
        shape=shape,
        peaks=Peaks(flops_per_s=1e11, bandwidth_bytes_per_s=2e10),
        param_bytes=4.0,
        kv_element_bytes=4.0,
        coefficients=values | changes,
    )


def probes(model, noise=()):
    grid = [prefill_load(new_tokens=n) for n in (32, 256, 1024)]
    grid += [prefill_load(new_tokens=256, cached_tokens=1024), prefill_load(new_tokens=64, seqs=4)]
    grid += [
        decode_load(seqs=b, context_tokens=n)
        for b, n in ((1, 64), (1, 2048), (8, 256), (16, 1024), (32, 64))
    ]
    held = [prefill_load(new_tokens=512), decode_load(seqs=4, context_tokens=512)]
    held += [decode_load(seqs=24, context_tokens=300)]
    factors = [*noise, *[1.0] * (len(grid) + len(held) - len(noise))]
    return [
        StepPoint(load=load, seconds=model.seconds(load) * factor, held_out=load in held)
        for load, factor in zip(grid + held, factors, strict=True)
    ]


def fitted(points, model):
    return fit(
        points,
        shape=model.shape,
        peaks=model.peaks,
        param_bytes=model.param_bytes,
        kv_element_bytes=model.kv_element_bytes,
    )
