"""`truthloop ui`: labelling in the browser, previews of worker templates, and their checks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from truthloop.errors import TruthloopError

if TYPE_CHECKING:
    from worker_ui.contract import Portal

_TEMPLATE_FILE = "template.liquid.html"
_SAMPLES = "sample_input*.json"
_ENDPOINT = "http://127.0.0.1:4566"
_STRING_CHARACTERS_SHOWN = 120

app = typer.Typer(
    help="Label in the browser; preview and check worker templates.", pretty_exceptions_enable=False
)


class UnusableInput(TruthloopError):
    """A file that was named on the command line is missing, or is not what it has to be."""


class PortUnavailable(TruthloopError):
    """Something else listens on the port."""


@app.callback(
    invoke_without_command=True,
    epilog="Examples: `truthloop ui` (label for the embedded AWS that runs), "
    "`truthloop ui --template ui_templates/bounding-box` (preview with its samples), "
    "`truthloop ui --template ui_templates/audit` (what auditors see), "
    "`truthloop ui --template page.liquid.html --input one.json --out answer.json`, "
    "`truthloop ui check`, `truthloop ui preview-aws --help`",
)
def serve(
    context: typer.Context,
    template: Annotated[
        Path | None, typer.Option(help=f"Preview this template, or the {_TEMPLATE_FILE} of this folder.")
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--input", help=f"JSON that is task.input; repeatable. Default: {_SAMPLES} beside it."),
    ] = None,
    objects: Annotated[
        Path | None, typer.Option(help="Folder whose files stand for S3 objects of the same file name.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the last answer of the preview here, as JSON.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for any free one.")
    ] = 8765,
    endpoint: Annotated[
        str, typer.Option(envvar="AWS_ENDPOINT_URL", help="The embedded AWS whose jobs are worked.")
    ] = _ENDPOINT,
    worker: Annotated[str, typer.Option(help="Who you are in the embedded AWS' work team.")] = "me",
) -> None:
    """Serve the worker portal on 127.0.0.1 until Ctrl-C: the embedded AWS' jobs, or a template's preview."""
    if context.invoked_subcommand is not None:
        return
    console = Console(highlight=False, soft_wrap=True)
    if template is not None:
        portal = _preview(template, inputs or [], objects, out, console)
    else:
        for option, value in (("--input", inputs), ("--objects", objects), ("--out", out)):
            if value:
                raise UnusableInput(f"{option} is for the preview of a template; give --template as well.")
        portal = _of_embedded_aws(endpoint, worker)
    _serve(portal, port, console)


@app.command(epilog="Examples: `truthloop ui check`, `truthloop ui check ui_templates/bounding-box`")
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Templates, or folders with one. Default: all in ui_templates."),
    ] = None,
) -> None:
    """Find what would go wrong with worker templates: in AWS, in the browser, or when answers are read."""
    from worker_ui.lint import check as findings_of

    console = Console(highlight=False, soft_wrap=True)
    folders = paths or sorted(file.parent for file in Path("ui_templates").glob(f"*/{_TEMPLATE_FILE}"))
    if not folders:
        raise UnusableInput(
            "There is no ui_templates folder with templates here; name a template or its folder."
        )
    findings = [finding for folder in folders for finding in findings_of(folder)]
    for finding in findings:
        console.print(str(finding), markup=False)
    if findings:
        raise typer.Exit(1)
    console.print(f"{len(folders)} template{'' if len(folders) == 1 else 's'} checked: nothing to correct.")


@app.command(
    "preview-aws",
    epilog="Example: `truthloop ui preview-aws --template ui_templates/bounding-box "
    "--role arn:aws:iam::111122223333:role/labeling --out build/preview.html`",
)
def preview_aws(
    template: Annotated[Path, typer.Option(help=f"The template, or a folder with a {_TEMPLATE_FILE}.")],
    role: Annotated[str, typer.Option(help="ARN of the role that may read the objects which are shown.")],
    input_: Annotated[
        Path | None,
        typer.Option("--input", help="JSON that is task.input. Default: sample_input.json beside it."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/preview-aws.html"),
) -> None:
    """Have AWS render a template into a file, with its own elements (RenderUiTemplate); needs an account."""
    from worker_ui.preview_aws import preview

    file = _template_file(template)
    written = preview(file, _sample(input_ or file.parent / "sample_input.json"), role, out)
    Console(highlight=False, soft_wrap=True).print(
        f"Wrote {written}. Open it in a browser soon: its links to S3 expire.", markup=False
    )


def _preview(
    template: Path, inputs: list[Path], objects: Path | None, out: Path | None, console: Console
) -> Portal:
    from worker_ui.preview import PreviewPortal

    file = _template_file(template)
    files = inputs or sorted(file.parent.glob(_SAMPLES))
    if not files:
        raise UnusableInput(f"There is no {_SAMPLES} beside {file}; give --input.")

    def take(answer: Mapping[str, Any]) -> None:
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(answer, ensure_ascii=False, indent=2) + "\n", "utf-8")
            console.print(f"wrote {out}", markup=False)
        console.print(json.dumps(_shortened(answer), ensure_ascii=False, indent=2), markup=False)

    return PreviewPortal(
        file, [_sample(each) for each in files], folder=objects or file.parent, on_answer=take
    )


def _of_embedded_aws(endpoint: str, worker: str) -> Portal:
    from worker_ui.portal import Portal as EmbeddedPortal

    portal = EmbeddedPortal(endpoint, worker)
    # Better to fail here, with what to do, than on an empty page.
    portal.jobs()
    return portal


def _serve(portal: Portal, port: int, console: Console) -> None:
    from worker_ui.server import serve as serve_portal

    try:
        serve_portal(
            portal, port, lambda url: console.print(f"Open {url} in a browser. Ctrl-C ends it.", markup=False)
        )
    except OSError as error:
        raise PortUnavailable(
            f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}. Give another --port."
        ) from None
    except KeyboardInterrupt:
        # Ctrl-C is how the portal is meant to end.
        console.print("\nThe portal has ended.")


def _template_file(path: Path) -> Path:
    file = path / _TEMPLATE_FILE if path.is_dir() else path
    if not file.is_file():
        raise UnusableInput(f"There is no template {file}; name a file, or a folder with a {_TEMPLATE_FILE}.")
    return file


def _sample(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UnusableInput(f"There is no sample input {file}; give --input.") from None
    except ValueError as error:
        raise UnusableInput(f"{file} is no JSON: {error}.") from None
    if not isinstance(value, dict):
        raise UnusableInput(f"{file} is no JSON object; write the object that is task.input.")
    return value


def _shortened(value: Any) -> Any:
    """A mask's PNG would fill the terminal."""
    if isinstance(value, str) and len(value) > _STRING_CHARACTERS_SHOWN:
        return f"{value[:_STRING_CHARACTERS_SHOWN]}… ({len(value)} characters)"
    if isinstance(value, Mapping):
        return {key: _shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    return value
