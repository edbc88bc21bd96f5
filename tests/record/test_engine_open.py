"""A TARGET becomes an engine, or one sentence with a hint and the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from tiny_models import tiny

from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.engines import demo_model, loading, memory
from costaudit.record.engines.device import choose_device, choose_dtype
from costaudit.record.engines.model_source import find_source
from costaudit.record.engines.open_local import open_local
from costaudit.record.meters.host import HostMemory

OWN_CODE = {"auto_map": {"AutoModelForCausalLM": "x.Y"}}


@pytest.fixture
def folder(tmp_path):
    """A small sound model directory, in two shards."""
    with loading.quiet():
        tiny("GQA").save_pretrained(tmp_path / "toy", max_shard_size="60KB")
    return tmp_path / "toy"


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(error, *args, **options):
    with pytest.raises(error) as caught:
        open_local(*map(str, args), **options)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_directory_opens_with_its_own_weights(folder, capfd):
    assert len(list(folder.glob("*.safetensors"))) > 1
    engine = open_local(str(folder), device="cpu", dtype="float32")
    assert (engine.target.model, engine.target.weights) == ("toy", "trained")
    assert engine.target.shape.params == 29_408  # 2·96·32 + 3·(3072 + 4608) + 7·32
    for (name, ours), theirs in zip(
        engine._model.named_parameters(), tiny("GQA").parameters(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    engine.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dummy_weights_need_the_config_alone(folder, dtype):
    for shard in folder.glob("*.safetensors*"):
        shard.unlink()
    assert "has a config.json but no model.safetensors" in refused(TargetError, folder)
    engine = open_local(str(folder), device="cpu", dtype=dtype, dummy_weights=True)
    assert (engine.target.weights, engine.target.dtype) == ("dummy", dtype)
    for name, weight in engine._model.named_parameters():
        assert weight.abs().sum() > 0, name
        assert weight.isfinite().all(), name
    with torch.inference_mode():
        logits = engine._model(torch.randint(0, 96, (2, 50))).logits
    assert logits.isfinite().all()
    assert logits.std() > 0
    engine.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_hidden_layers": -1}, "num_hidden_layers = -1"),
        ({"hidden_size": 30, "head_dim": None}, "hidden size 30"),
        ({"num_key_value_heads": 3}, "cannot share 3"),
        ({"num_attention_heads": float("nan")}, "num_attention_heads = nan"),
        ({"hidden_size": 1 << 29, "head_dim": 8}, "not enough memory"),
        ({"vocab_size": 1 << 29, "num_hidden_layers": 5000}, "not enough memory"),
        ({"architectures": ["BertForMaskedLM"], "model_type": "bert"}, "not a causal"),
        ({"architectures": None, "model_type": "bert"}, "not a causal"),
        ({"is_encoder_decoder": True}, "not a causal"),
        ({"model_type": "no_such_thing"}, "does not know the architecture"),
        ({"model_type": None}, "does not know the architecture"),
        ({"model_type": "no_such_thing", **OWN_CODE}, "own model code"),
        ({"num_hidden_layers": 2}, ""),
        ({"hidden_act": "no_such_act"}, "cannot load"),
    ],
)
def test_bad_configs(folder, changes, words):
    change_config(folder, **changes)
    if words:
        assert words in refused(TargetError, folder, device="cpu")
    else:  # fewer layers than the checkpoint holds is a model all the same
        open_local(str(folder), device="cpu").close()


def test_more_layers_than_the_checkpoint_holds(folder):
    change_config(folder, num_hidden_layers=4, layer_types=None)
    assert "lacks" in refused(TargetError, folder, device="cpu")


def test_a_matrix_of_another_size_than_the_config_says(folder):
    change_config(folder, intermediate_size=64)
    assert "cannot load" in refused(TargetError, folder, device="cpu")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\x00", "[" * 100_000])
def test_a_config_that_is_no_json_object(folder, text):
    (folder / "config.json").write_text(text)
    assert "config.json" in refused(TargetError, folder)


def test_a_directory_without_a_config(tmp_path):
    assert "has no config.json" in refused(TargetError, tmp_path)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_shard(folder, keep):
    shard = next(iter(sorted(folder.glob("*.safetensors"))))
    shard.write_bytes(shard.read_bytes()[:keep])
    message = refused(TargetError, folder)
    assert shard.name in message
    assert "cut short" in message or "damaged" in message


def test_a_missing_shard(folder):
    shard = next(iter(sorted(folder.glob("*.safetensors"))))
    shard.unlink()
    assert f"{shard.name} is missing" in refused(TargetError, folder)


def test_pickled_weights_are_never_read(folder):
    for shard in folder.glob("*.safetensors*"):
        shard.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    assert "pickle" in refused(TargetError, folder)


def test_names_that_are_no_target(tmp_path):
    refused(UsageError, tmp_path / "nothing")
    refused(UsageError, "a/b/c")
    refused(UsageError, "what is this")
    (tmp_path / "file").touch()
    assert "is a file" in refused(UsageError, tmp_path / "file")


def test_a_hub_that_cannot_be_reached(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert "cannot be reached" in refused(TargetError, "owner/no-such-model")


def test_flags_that_are_wrong(folder):
    assert "unknown device" in refused(UsageError, folder, device="gpu")
    assert "unknown device" in refused(UsageError, folder, device="cpu:1")
    assert "unknown dtype" in refused(UsageError, folder, dtype="float8")
    if not torch.cuda.is_available():
        assert "not on this machine" in refused(UsageError, folder, device="cuda")


def test_a_model_larger_than_memory_is_refused_before_it_is_loaded(folder, monkeypatch):
    little = HostMemory(total_bytes=1 << 40, available_bytes=100_000, limited_by="cgroup")
    monkeypatch.setattr(memory, "host_memory", lambda: little)
    message = refused(TargetError, folder, device="cpu", dtype="float32")
    assert "not enough memory for the weights of toy" in message


def test_what_is_missing_is_named_when_torch_is_not_installed():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from costaudit.record.engines.open_local import open_local\n"
        "from costaudit.ground.errors import UsageError\n"
        "try: open_local('demo')\n"
        "except UsageError as err: print(err.message, '|', err.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "torch, which is not installed" in done.stdout
    assert "costaudit[local]" in done.stdout


def test_dtype_auto_takes_what_the_device_is_good_at(monkeypatch):
    from costaudit.record.engines import device

    cuda, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert choose_dtype("auto", cuda, "float16")[0] == "float16"
    assert choose_dtype("auto", cuda, "float32")[0] == "bfloat16"
    for able, dtype in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(device, "cpu_multiplies_bfloat16", lambda able=able: able)
        assert choose_dtype("auto", cpu, "bfloat16")[0] == dtype
    assert choose_dtype("float16", cpu, None)[0] == "float16"
    assert choose_device("cpu") == cpu


@pytest.fixture
def little_demo(monkeypatch, tmp_path):
    """The demo's housekeeping around a model that is made at once."""
    built = []

    def build(folder):
        built.append(folder)
        with loading.quiet():
            tiny("GQA").save_pretrained(folder)

    monkeypatch.setattr(demo_model, "_build", build)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return built


@pytest.mark.parametrize("damage", ["none", "cut", "config", "gone"])
def test_a_damaged_demo_is_built_again(little_demo, damage):
    folder = demo_model.ensure_demo()
    weights = folder / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-5])
    elif damage == "config":
        (folder / "config.json").write_text("{")
    elif damage == "gone":
        weights.unlink()
    assert demo_model.ensure_demo() == folder
    assert len(little_demo) == (1 if damage == "none" else 2)
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_two_processes_may_build_the_demo_at_once(little_demo, monkeypatch):
    build = demo_model._build

    def overtaken(folder):
        build(folder)
        build(demo_model.demo_folder())

    monkeypatch.setattr(demo_model, "_build", overtaken)
    monkeypatch.setattr(demo_model.shutil, "rmtree", spare(demo_model.demo_folder()))
    folder = demo_model.ensure_demo()
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def spare(folder):
    """`shutil.rmtree` for all but the folder that the other process has just put there."""
    remove = demo_model.shutil.rmtree
    return lambda path, **options: None if path == folder else remove(path, **options)


def test_a_failed_build_leaves_nothing_behind(little_demo, monkeypatch):
    def fail(folder):
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo_model, "_build", fail)
    with pytest.raises(UsageError, match="No space left"):
        demo_model.ensure_demo()
    assert list(demo_model.demo_folder().parent.iterdir()) == []


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot write the demo"):
        demo_model.ensure_demo()


@pytest.mark.slow
def test_the_demo_is_the_same_wherever_it_is_built(parts, monkeypatch, tmp_path):
    from transformers import AutoTokenizer

    monkeypatch.setenv("XDG_CACHE_HOME", str(parts))
    source = find_source("demo", dummy_weights=False, trust_remote_code=False, revision=None)
    demo_model._build(tmp_path)
    for file in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / file).read_bytes() == (source.folder / file).read_bytes(), file
    words = AutoTokenizer.from_pretrained(source.folder)
    text = "Bal donir, foo 123 – ß."
    assert len(words) == demo_model.VOCAB
    assert words.decode(words(text).input_ids) == text
    engine = open_local("demo", device="cpu")
    assert (engine.target.weights, engine.target.shape.params) == ("random", 31_465_984)
    engine.close()
