"""`Optimizer`: parameter groups, state, and the step that every optimizer fills in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diffcore.aliasing import changes
from diffcore.arrays import is_mutable
from diffcore.dispatch import Boxed
from diffcore.ledger import did, label, state
from diffcore.optim import loading
from diffcore.optim.arithmetic import counter
from diffcore.optim.options import NOTES, checked
from diffcore.seeds import zeros_of


class Optimizer:
    """Base of optimizers: parameter groups, `zero_grad`, and `step`, which reads `.grad` of each parameter.

    **Arguments:** `params`: tensors, pairs `(name, tensor)`, or dicts `{"params": tensors, option: value, ...}`; `defaults`: options of
    groups that do not set them.

    `state` maps a parameter to a dict of arrays under PyTorch's names. A step changes arrays in place on numpy and replaces them on jax.
    Raises `TypeError` and `ValueError` for parameters that are not leaf tensors, are there twice, or none at all.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Boxed) or not isinstance(params, Iterable):
            a_tensor = isinstance(params, Boxed)
            hint = ". Did you mean its `parameters()`?" if hasattr(params, "parameters") else ""
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{'a Tensor' if a_tensor else type(params).__name__}{hint}"
            )
        self.defaults = checked(type(self).__name__, defaults)
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self.has_stepped = False
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize further parameters: `param_group` is a dict `{"params": tensors, option: value, ...}`. Errors as at construction."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        if "params" not in param_group:
            raise ValueError(f"a parameter group needs its tensors under 'params'; it has {', '.join(map(repr, param_group)) or 'nothing'}")
        unknown = param_group.keys() - self.defaults.keys() - NOTES
        if unknown:
            raise TypeError(f"optimizer got unexpected options {', '.join(map(repr, sorted(unknown)))} in a parameter group")
        tensors, names = _tensors(param_group["params"])
        self._check_tensors(tensors, bool(names))
        group = checked(type(self).__name__, {**self.defaults, **param_group, "params": None})
        self.param_groups.append({**group, "params": tensors} | ({"param_names": names} if names else {}))

    def _check_tensors(self, tensors: list[Any], named: bool) -> None:
        for tensor in tensors:
            if not isinstance(tensor, Boxed):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(tensor).__name__}")
            if not tensor.is_leaf:  # type: ignore[attr-defined]
                raise ValueError("can't optimize a non-leaf Tensor")
        if len({id(tensor) for tensor in tensors}) < len(tensors):
            raise ValueError("a parameter appears more than once in a parameter group")
        there = {id(parameter) for parameter in self._parameters()}
        if any(id(tensor) in there for tensor in tensors):
            raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in self.param_groups[0]) != named:
            raise ValueError(
                f"all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if named else 'without'} names to the optimizer"
            )

    def _parameters(self) -> Iterator[Any]:
        return (parameter for group in self.param_groups for parameter in group["params"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with `set_to_none=False` make them zero."""
        for group in self.param_groups:
            for parameter in group["params"]:
                leaf = parameter._leaf()
                if leaf is not None and leaf.gradient is not None:
                    leaf.gradient = None if set_to_none else _zeroed(leaf.gradient)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; the arithmetic is booked under the phase `update`.

        **Arguments:** `closure`: called first, to compute the gradients anew; what it returns, the loss, is returned.
        """
        loss = None if closure is None else closure()
        name = f"{type(self).__name__}.step"
        outer, state.phase = state.phase, "update"
        ledger = state.ledger
        try:
            for group in self.param_groups:
                for parameter in group["params"]:
                    gradient = parameter.grad
                    if gradient is None:
                        continue
                    value = parameter.array
                    if ledger is not None:
                        did("update", type(self).__name__)
                        ledger.next_operation()
                    new = self._updated(parameter, value, gradient.array, group)
                    if new is not value:
                        parameter.data = new if new.dtype == value.dtype else new.astype(value.dtype)
                    changes.note(value, name)
        finally:
            state.phase = outer
        self.has_stepped = True
        return loss

    def _updated(self, parameter: Any, value: Any, gradient: Any, group: dict[str, Any]) -> Any:
        """The new `value` of a parameter (the same array, changed in place, on numpy), which may not keep or change `gradient`."""
        raise NotImplementedError

    # state
    scalars: tuple[str, ...] = ("step",)
    """Names of the entries of the state that are one number for each parameter."""

    moments: tuple[str, ...] = ()
    """Names of the entries that are shaped like the parameter, those included that only some options need."""

    def _moments(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The `moments` that the options of `group` need."""
        return self.moments

    def _begun(self, parameter: Any, value: Any, group: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter, begun where it is not there yet."""
        entry = self.state[parameter]
        if not entry:
            entry.update({name: counter(value) for name in self.scalars})
        for name in self._moments(group):
            if name not in entry:
                entry[name] = zeros_of(value)
                label(entry[name], "optimizer state")
        return entry

    def state_dict(self) -> dict[str, Any]:
        """Everything but the parameters, as in PyTorch: `{"state": {number: {name: tensor}}, "param_groups": [{..., "params": numbers}]}`.

        Parameters are numbered in order. Tensors share memory with the state.
        """
        numbers = {id(parameter): number for number, parameter in enumerate(self._parameters())}
        kept = {
            numbers[id(parameter)]: {name: parameter._like(array) for name, array in self.state[parameter].items()}
            for parameter in self._parameters()
            if self.state.get(parameter)
        }
        groups = [
            {**{name: value for name, value in group.items() if name != "params"}, "params": [numbers[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": kept, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict()` of an optimizer of this class said, here or in PyTorch; values are copied.

        **Arguments:** `state_dict`: entries may be tensors of this library or PyTorch's, or arrays.
        Raises `ArgumentError` (a `ValueError`) that lists everything that does not fit; then nothing has changed.
        """
        self.state, self.param_groups = loading.loaded(self, state_dict)

    def _restored_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a group that is loaded."""
        return options

    # under jax.jit
    def held(self) -> list[dict[str, Any]]:
        """The arrays of the state, one dict for each parameter: what a step changes beside the parameters, as a pytree for `jax.jit`."""
        return [dict(self.state.get(parameter, ())) for parameter in self._parameters()]

    def hold(self, held: Sequence[dict[str, Any]]) -> None:
        """Make the arrays that `held()` gave the state."""
        pairs = zip(self._parameters(), held, strict=True)
        self.state = defaultdict(dict, {parameter: dict(entry) for parameter, entry in pairs if entry})

    @property
    def rates(self) -> list[Any]:
        """The learning rate of each group."""
        return [group["lr"] for group in self.param_groups]

    @contextmanager
    def at(self, rates: Sequence[Any]) -> Iterator[None]:
        """With other learning rates, for instance those that `jax.jit` traces; afterwards they are what they were."""
        before = self.rates
        self._set(rates)
        try:
            yield
        finally:
            self._set(before)

    def _set(self, rates: Sequence[Any]) -> None:
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate

    def fixed(self) -> Hashable:
        """All other options of the groups: what a compiled step was compiled for."""
        return tuple(
            tuple((name, value) for name, value in group.items() if name not in NOTES and name != "lr") for group in self.param_groups
        )

    def __repr__(self) -> str:
        described = ""
        for number, group in enumerate(self.param_groups):
            options = "".join(f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params")
            described += f"\nParameter Group {number}\n{options}"
        return f"{type(self).__name__} ({described})"


def descent(value: Any, gradient: Any, group: dict[str, Any]) -> Any:
    """The gradient of what is to become small: negated to maximize, with that of the L2 penalty added.

    It is `gradient` itself where there is nothing to do.
    """
    if group["maximize"]:
        gradient = -gradient
    if group["weight_decay"]:
        penalty = group["weight_decay"] * value
        penalty += gradient
        return penalty
    return gradient


def _tensors(params: Any) -> tuple[list[Any], list[str]]:
    """Tensors, and their names where they have any."""
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will change between "
            "runs. Please use a list instead."
        )
    given = [params] if isinstance(params, Boxed) else list(params)
    names = [item[0] for item in given if isinstance(item, tuple)]
    if names and len(names) < len(given):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return [item[1] if isinstance(item, tuple) else item for item in given], names


def _zeroed(gradient: Any) -> Any:
    gradient = gradient.detach()
    if is_mutable(gradient.primal):
        gradient.primal[...] = 0
        return gradient
    return gradient._like(zeros_of(gradient.primal))
