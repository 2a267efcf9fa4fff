"""The command line put together: every command, in the order in which a newcomer needs them."""

from __future__ import annotations

import typer

from serving.cli import (
    completion,
    config,
    conformance,
    demo,
    features,
    loadtest,
    logs,
    models,
    predict,
    restart,
    rollout,
    up,
)

app = typer.Typer(
    name="sluice",
    help="A real-time inference gateway: ONNX models behind one fast HTTP port.",
    epilog="Example: sluice demo --once",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help starts twice as fast as the one with frames.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
up.add_to(app)
restart.add_to(app)
demo.add_to(app)
predict.add_to(app)
models.add_to(app)
rollout.add_to(app)
features.add_to(app)
config.add_to(app)
loadtest.add_to(app)
logs.add_to(app)
conformance.add_to(app)
completion.add_to(app)
