"""Policy losses on a CUDA device are those on the CPU; run by `make test-gpu`."""

from __future__ import annotations

import pytest

from gustibus import ops

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

PAIR = ("pi_w", "pi_l", "ref_w", "ref_l")
ERRORS = ("err_w", "err_l", "ref_w", "ref_l")
SHAPES = {
    **{name: dict.fromkeys(PAIR, (6,)) for name in ("dpo", "dpo_gamma", "ipo", "rdpo", "rpo")},
    "diffusion_dpo": dict.fromkeys(ERRORS, (6,)),
    "rank_diffusion": dict.fromkeys(("err", "ref", "phi"), (3, 5)),
    "group_advantage": {"r": (3, 5)},
    "group_win_rate": {"matrix": (3, 5, 5)},
    "unlikeliness": {"rewards": (3, 5), "mean_logps": (3, 5)},
    "gae": {"rewards": (3, 5), "values": (3, 5)},
    "whiten": {"x": (3, 5)},
    "adpa_term": dict.fromkeys(("student", "teacher", "reference"), (3, 5, 7)),
    "forward_kl": dict.fromkeys(("teacher", "student"), (3, 5, 7)),
    "pseudo_huber": {"a": (3, 5), "b": (3, 5)},
}


@pytest.mark.parametrize("name", SHAPES)
def test_losses_are_the_same_on_both(name):
    generator = torch.Generator().manual_seed(0)
    drawn = {k: torch.rand(s, generator=generator) for k, s in SHAPES[name].items()}
    run = getattr(ops, name)
    here = run(**drawn)
    there = run(**{k: v.cuda() for k, v in drawn.items()})
    pairs = zip(here, there, strict=True) if isinstance(here, tuple) else [(here, there)]
    for one, other in pairs:
        assert other.device.type == "cuda"
        assert torch.allclose(one, other.cpu(), atol=1e-5)
