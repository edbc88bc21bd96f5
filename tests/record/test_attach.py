from __future__ import annotations

import sqlite3

import pytest

import costaudit
from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.watch import STEPS_PER_ROW
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Phase, Role
from costaudit.recording.target_facts import target_of
from costaudit.target.load import decode_load, prefill_load

pytestmark = pytest.mark.slow  # all of it together

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture(scope="module")
def model():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=120,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    made = LlamaForCausalLM(config).eval()
    made.generation_config.eos_token_id = None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield made
    torch.set_num_threads(threads)


def ids(*shape):
    return torch.randint(3, 120, shape)


def generate(model, tokens, new, **others):
    with torch.inference_mode():
        return model.generate(tokens, max_new_tokens=new, do_sample=False, **others)


def attached(model, path, *, peaks=False):
    return costaudit.attach(model, path=path, peaks=peaks)


def spans(path):
    with Recording.read(path) as recording:
        return recording.samples(Role.ATTACHED)


def hooks(model):
    return len(model._forward_hooks) + len(model._forward_pre_hooks)


def test_prefill_and_decode_of_generate_are_told_apart(model, tmp_path):
    with attached(model, tmp_path / "r") as session:
        generate(model, ids(3, 20), 11)
    prefill, decode = spans(session.path)
    assert (prefill.phase, decode.phase) == (Phase.PREFILL, Phase.DECODE)
    load = prefill_load(new_tokens=20, seqs=3)
    assert (prefill.steps, prefill.prefill_tokens) == (1, load.prefill_tokens)
    assert prefill.prefill_pairs == load.prefill_pairs
    assert decode.steps == 10
    assert decode.decode_seqs == 30
    contexts = [decode_load(seqs=3, context_tokens=20 + n).decode_context_tokens for n in range(10)]
    assert decode.decode_context_tokens == sum(contexts)
    for span in (prefill, decode):
        assert span.seconds > 0
        assert span.wall_s > 0
        assert span.clock == "thread_time"
    assert prefill.task != decode.task


def test_outputs_are_the_same_and_hooks_are_gone(model, tmp_path):
    tokens = ids(2, 9)
    before, count = generate(model, tokens, 7), hooks(model)
    with attached(model, tmp_path / "r"):
        during = generate(model, tokens, 7)
        assert hooks(model) > count
    assert torch.equal(before, during)
    assert hooks(model) == count


def test_hooks_go_and_the_file_closes_when_the_program_raises(model, tmp_path):
    count = hooks(model)

    def program():
        with attached(model, tmp_path / "r", peaks=True):
            generate(model, ids(1, 8), 4)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        program()
    assert hooks(model) == count
    assert len(spans(tmp_path / "r")) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_call_that_raises_is_left_out(model, tmp_path):
    with attached(model, tmp_path / "r") as session:
        with pytest.raises(IndexError):
            model(input_ids=torch.full((1, 4), 5000))
        generate(model, ids(1, 8), 3)
    assert [s.prefill_tokens for s in spans(session.path)] == [8, 0]


def test_each_prefill_opens_a_batch_and_rows_have_tasks_of_their_own(model, tmp_path):
    with attached(model, tmp_path / "r") as session:
        for seqs, new in ((1, 5), (4, 3), (4, 3)):
            generate(model, ids(seqs, 10), new)
    rows = spans(session.path)
    assert len({row.task for row in rows}) == len(rows) == 6
    with Recording.read(session.path) as recording:
        requests = recording.requests()
    assert [(r.batch, r.prompt_tokens, r.output_tokens) for r in requests] == [
        (0, 10, 5),
        *[(1, 10, 3)] * 4,
        *[(2, 10, 3)] * 4,
    ]
    assert all(0 < r.ttft_s < r.e2e_s for r in requests)


def test_padding_of_prompts_and_of_finished_rows_is_not_counted(model, tmp_path):
    tokens = ids(2, 12)
    mask = torch.ones_like(tokens)
    tokens[0, :5] = 0
    mask[0, :5] = 0
    with torch.inference_mode():
        free = model.generate(tokens, attention_mask=mask, max_new_tokens=9, do_sample=False)
    stop = int(free[1, 12 + 3])  # ends row 1 there at the latest
    with attached(model, tmp_path / "r") as session:
        out = generate(model, tokens, 9, attention_mask=mask, eos_token_id=stop)
    with Recording.read(session.path) as recording:
        requests = recording.requests()
    assert [r.prompt_tokens for r in requests] == [7, 12]
    made = [int((row != 0).sum()) for row in out[:, 12:]]
    assert [r.output_tokens for r in requests] == made
    assert min(made) <= 4


def test_long_runs_are_cut_so_that_rows_stay_few_and_alike(model, tmp_path):
    with attached(model, tmp_path / "r") as session:
        generate(model, ids(1, 4), 2 * STEPS_PER_ROW + 10)
    steps = [s.steps for s in spans(session.path) if s.phase is Phase.DECODE]
    assert steps == [STEPS_PER_ROW, STEPS_PER_ROW, 9]


def test_a_prompt_in_chunks_is_one_request(model, tmp_path):
    from transformers import DynamicCache

    with attached(model, tmp_path / "r") as session, torch.inference_mode():
        cache = DynamicCache(config=model.config)
        model(ids(1, 16), past_key_values=cache, use_cache=True)
        model(ids(1, 16), past_key_values=cache, use_cache=True)
        model(ids(1, 1), past_key_values=cache, use_cache=True)
    first, second, decode = spans(session.path)
    assert second.prefill_pairs == prefill_load(new_tokens=16, cached_tokens=16).prefill_pairs
    assert decode.decode_context_tokens == 32
    with Recording.read(session.path) as recording:
        (request,) = recording.requests()
    assert (request.prompt_tokens, request.output_tokens) == (32, 2)
    assert request.ttft_s == pytest.approx(first.seconds + second.seconds)


def test_a_forward_without_a_cache_is_a_prefill(model, tmp_path):
    with attached(model, tmp_path / "r") as session, torch.inference_mode():
        model(ids(2, 6), use_cache=False)
        model(inputs_embeds=torch.randn(1, 5, 32), use_cache=False)
    assert [(s.phase, s.prefill_tokens) for s in spans(session.path)] == [
        (Phase.PREFILL, 12),
        (Phase.PREFILL, 5),
    ]


def test_the_recording_describes_the_target_and_its_cache(model, tmp_path):
    with attached(model, tmp_path / "r") as session:
        generate(model, ids(1, 8), 4)
    with Recording.read(session.path) as recording:
        facts = recording.facts()
        target = target_of(facts)
        assert recording.meta()["kind"] == "attached"
    assert target.shape.layers == 2
    assert target.knobs["compute_threads"].value == 1
    assert facts["kv"]["bytes_per_token"].value == 2 * 2 * 2 * 8 * 4
    assert facts["kv"]["bytes_per_token_formula"].value == 2 * 2 * 2 * 8 * 4
    assert facts["replay"]["itl_s"].value["samples"] == 3
    assert facts["device"]["name"].value


def test_peaks_are_measured_on_leaving(model, tmp_path, monkeypatch):
    monkeypatch.setattr("costaudit.record.peaks._GEMM_SIZE", {"cpu": 64})
    monkeypatch.setattr("costaudit.record.peaks._COPY_BYTES", {"cpu": 1 << 20})
    with attached(model, tmp_path / "r", peaks=True) as session:
        generate(model, ids(1, 8), 4)
    with Recording.read(session.path) as recording:
        assert recording.facts()["device"]["peak_flops"].value > 0
    assert all(s.seconds > 0 for s in spans(session.path))


def test_several_threads_are_timed_by_the_wall_and_said_so(model, tmp_path):
    torch.set_num_threads(2)
    try:
        with attached(model, tmp_path / "r") as session:
            generate(model, ids(1, 8), 4)
    finally:
        torch.set_num_threads(1)
    assert {s.clock for s in spans(session.path)} == {"wall"}
    with Recording.read(session.path) as recording:
        why = recording.facts()["design"]["clock"].why
    assert "2 threads" in why


def test_no_token_is_written_down(model, tmp_path):
    marked = torch.full((1, 8), 97)
    with attached(model, tmp_path / "r") as session:
        generate(model, marked, 2)
    db = sqlite3.connect(session.path)
    values = [v for (v,) in db.execute("SELECT value FROM fact")]
    db.close()
    assert not any("97, 97" in value for value in values)


def test_what_cannot_be_attached_to_leaves_no_file(tmp_path):
    from types import SimpleNamespace

    config = SimpleNamespace(to_dict=dict, name_or_path="x")
    odd = SimpleNamespace(config=config, device=torch.device("cpu"))
    with pytest.raises(TargetError), attached(odd, tmp_path / "r"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(model, tmp_path):
    (tmp_path / "r").write_text("mine")
    with pytest.raises(UsageError, match="exists already"), attached(model, tmp_path / "r"):
        pass
    assert (tmp_path / "r").read_text() == "mine"
    assert hooks(model) == 0


def test_the_default_path_is_in_the_working_directory(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with costaudit.attach(model, peaks=False) as session:
        generate(model, ids(1, 4), 2)
    assert session.path.exists()
    assert session.path.name.startswith("attached-")
