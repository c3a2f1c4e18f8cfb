"""What a session can be asked for: a method for each command."""

import abc
from collections.abc import Mapping, Sequence
from typing import Literal

from hessview.commands import Benchmark, Command, Coupling, Density
from hessview.errors import InputError
from hessview.messages import JobStarted
from hessview.session.run import Run


class Asking(abc.ABC):
    """The questions; `Session` knows whom to ask."""

    @property
    @abc.abstractmethod
    def job(self) -> JobStarted:
        """What the job differentiates, and where."""

    @abc.abstractmethod
    def submit(self, command: Command) -> Run:
        """Send a command to the job."""

    def density(
        self,
        *,
        steps: int = Density.steps,
        probes: int = Density.probes,
        epsilon: float | Literal["auto"] = Density.epsilon,
        seed: int = Density.seed,
        reorthogonalize: int | Literal["full", "none"] = Density.reorthogonalize,
        error_every: int = Density.error_every,
        operator: str = Density.operator,
        subset: str | Sequence[str] = Density.subset,
        tolerance: float | None = Density.tolerance,
        quantity: str = Density.quantity,
    ) -> Run:
        """Ask for a spectral density; see `commands.Density` for the arguments.

        Returns:
            The run, at once; its dataset fills up while the ranks compute.

        Raises:
            InputError: An argument is outside what is allowed; nothing was sent.
            JobLostError: The job is gone.
        """
        return self.submit(
            Density(
                steps=steps,
                probes=probes,
                epsilon=epsilon,
                seed=seed,
                reorthogonalize=reorthogonalize,
                error_every=error_every,
                operator=operator,
                subset=(subset,) if isinstance(subset, str) else tuple(subset),
                tolerance=tolerance,
                quantity=quantity,
            )
        )

    def benchmark(
        self,
        *,
        operators: Sequence[str] = Benchmark.operators,
        depths: Sequence[int] = Benchmark.depths,
        repetitions: int = Benchmark.probes,
        epsilon: float | Literal["auto"] = Benchmark.epsilon,
    ) -> Run:
        """Ask what gradients, products and Lanczos steps cost; see `data.benchmark`.

        Args:
            operators: Names of the operators whose products are timed.
            depths: Lanczos steps at which a step is timed.
            repetitions: How often everything is timed.
            epsilon: Step along a unit-norm vector.

        Returns:
            The run, at once.

        Raises:
            InputError: An argument is outside what is allowed; nothing was sent.
            JobLostError: The job is gone.
        """
        return self.submit(
            Benchmark(
                operators=tuple(operators),
                depths=tuple(depths),
                probes=repetitions,
                epsilon=epsilon,
            )
        )

    def coupling(
        self,
        *,
        blocks: Mapping[str, str] | None = None,
        probes: int = Coupling.probes,
        epsilon: float | Literal["auto"] = Coupling.epsilon,
        seed: int = Coupling.seed,
        operator: str = Coupling.operator,
        subset: str | Sequence[str] = Coupling.subset,
    ) -> Run:
        """Ask how strongly blocks of parameters are coupled.

        A product per probe and block, and one with the whole probe. `data.coupling` and
        `views.coupling` say what came out, and how far noise lets it be trusted.

        Args:
            blocks: Pattern of parameter names of each block, such as {"attention": "*attn*",
                "mlp": "*mlp*"}; None takes the job's blocks.
            probes: See `commands.Coupling`, as for the other arguments.
            epsilon: Step along a unit-norm vector.
            seed: Seed of the probes.
            operator: Name of the operator.
            subset: Patterns of the parameters that it is restricted to.

        Returns:
            The run, at once; its dataset fills up while the ranks compute.

        Raises:
            InputError: An argument is outside what is allowed, or the job has one block only;
                nothing was sent.
            JobLostError: The job is gone.
        """
        if not blocks and len(self.job.blocks) < 2:
            raise InputError(
                f"the job has the blocks {list(self.job.blocks)}, and coupling needs two or more; "
                'give blocks by pattern, such as blocks={"attention": "*attn*", "mlp": "*mlp*"}.'
            )
        return self.submit(
            Coupling(
                blocks=blocks or (),  # type: ignore[arg-type]  # it takes mappings too
                probes=probes,
                epsilon=epsilon,
                seed=seed,
                operator=operator,
                subset=(subset,) if isinstance(subset, str) else tuple(subset),
            )
        )
