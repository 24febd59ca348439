"""The command line: `colorlib colorize`, `colorlib train`, `colorlib evaluate`.

torch is imported by the commands, not here, so that `colorlib --help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from colorlib import __version__
from colorlib.files import write_json

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
                  context_settings={"help_option_names": ["-h", "--help"]})
# typer brings its own copy of click or uses the installed one, as its version goes
ClickException = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
Decode = Literal["default", "mean"]
Network = Literal["unet", "residual-unet"]
Weights = Annotated[Path | None, typer.Option(
    metavar="FILE", help="Weights that `colorlib train` wrote.  [default: those that came with colorlib]")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"colorlib {__version__}")
        raise typer.Exit()


@app.callback()
def colorlib(version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False) -> None:
    """Colour black-and-white photographs, train the network that does it, and
    measure how well. Nothing is downloaded, no photograph leaves this machine.
    """


@app.command()
def colorize(
    photos: Annotated[list[Path], typer.Argument(
        metavar="PHOTO...", help="Photographs, grey or colour, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")],
    weights: Weights = None,
    render_size: Annotated[int | None, typer.Option(
        metavar="N", help="Short side, in pixels, that the network gets.  [default: the weights']")] = None,
    saturation: Annotated[float | None, typer.Option(
        metavar="X", help="0 is grey, 1 the network's prediction.  [default: 1.0]")] = None,
    decode: Annotated[Decode | None, typer.Option(
        help="default: as colourful as photographs are; mean: wrong by least, pale.  [default: default]")] = None,
    variant: Annotated[int | None, typer.Option(
        metavar="N", min=0, help="Another plausible colouring, by its number.  [default: 0]")] = None,
    settings: Annotated[Path | None, typer.Option(
        metavar="FILE", help="JSON: the options, hints, adversarial, guidance, warmth, blend, as the studio "
        "saves them; or a photograph that was coloured with them. Options given here win over it.")] = None,
    format: Annotated[Literal["jpeg", "png", "webp", "tiff", "bmp"] | None, typer.Option(
        help="File format of the results.  [default: the photograph's]")] = None,
    force: Annotated[bool, typer.Option(
        "--force", help="Replace results that are there already. A photograph is never replaced.")] = False,
) -> None:
    """Colour photographs.

    Each result has the name, size, format and EXIF, XMP and IPTC data of its
    photograph, 8 bits and no transparency. Of several pages or frames the first
    is coloured; what a result lacks is printed. A photograph that cannot be
    opened is reported; the exit code is then 2.

    \b
    Examples:
      colorlib colorize grandmother.jpg -o colour
      colorlib colorize album/*.tif -o colour --format jpeg --decode mean
      colorlib colorize harbour.png -o colour --weights run/weights.safetensors --saturation 1.3
    \b
    A settings file, with two hints in pixels and CIE units, for networks that take hints:
      {"saturation": 1.2, "hints": [{"x": 310, "y": 80, "a": 5, "b": -30}]}
    """
    from colorlib import commands

    read = commands.Settings.read(settings) if settings else commands.Settings()
    chosen = {"saturation": saturation, "render_size": render_size, "decode": decode, "variant": variant}
    wanted = replace(read, **{name: value for name, value in chosen.items() if value is not None})
    suffix = format and {"jpeg": ".jpg", "tiff": ".tif"}.get(format, f".{format}")
    photos = commands.named(photos, output)
    batch = commands.Batch(photos, output, suffix, force)
    errors = commands.colorize_photos(batch, commands.Colorizer.load(weights), wanted)
    if len(photos) > 1 and errors:
        errors.append(f"{len(errors)} of {len(photos)} photographs were not coloured")
    for message in errors:
        _complain(message + ", or replace it with --force" * message.endswith("is there already; choose another folder"))
    raise typer.Exit(2 if errors else 0)


@app.command()
def train(
    photos: Annotated[Path, typer.Option(
        metavar="WHERE", help="Colour photographs: a tree of folders; a text file that names one in each line; "
        "WebDataset's .tar shards, as a folder or as shards/{000..099}.tar.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder for checkpoint, weights and history.")],
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Steps in all, also with --resume.")],
    recipe: Annotated[Literal["default", "tiny", "colorizer"], typer.Option(
        help="default: pix2pix; tiny: a first try; colorizer: that of the weights that ship.")] = "default",
    size: Annotated[int | None, typer.Option(
        metavar="N", min=16, help="Side of the square crops, in pixels.  [default: 96; colorizer: 128]")] = None,
    batch_size: Annotated[int | None, typer.Option(
        metavar="N", min=4,
        help="Pictures of a step, of all processes.  [default: 16; tiny: 8; colorizer on CUDA: 384]")] = None,
    loss: Annotated[Literal["l1", "pix2pix", "wgan-gp"] | None, typer.Option(help="Instead of the recipe's.")] = None,
    generator: Annotated[Network | None, typer.Option(help="Instead of the recipe's.")] = None,
    encoder_weights: Annotated[Literal["imagenet", "none"], typer.Option(
        help="Recipe colorizer: what its encoder starts from.")] = "imagenet",
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Of the first weights and of the crops.")] = 0,
    lr: Annotated[float | None, typer.Option(
        metavar="X", help="Largest learning rate of the generator.  [default: the recipe's]")] = None,
    every: Annotated[int, typer.Option(
        metavar="N", min=1, help="Steps between two checkpoints; ten minutes are the most.")] = 1000,
    precision: Annotated[Literal["auto", "no", "bf16", "fp16"], typer.Option(
        help="Of the numbers; auto: 16 bits on a CUDA GPU, else no. A penalised critic keeps 32.")] = "auto",
    accumulate: Annotated[int, typer.Option(
        metavar="N", min=1, help="Compute a batch in N parts, for less memory.")] = 1,
    compile: Annotated[bool, typer.Option(
        "--compile", help="Let torch.compile fuse the networks, but for a penalised critic.")] = False,
    workers: Annotated[int | None, typer.Option(
        metavar="N", min=0, help="Decode in N processes while training.  [default: before, in memory, where "
        "photographs fit; else 2]")] = None,
    track: Annotated[str | None, typer.Option(
        metavar="NAME", help="A tracker of Accelerate that gets the losses, such as tensorboard.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in RUN.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run that is in RUN.")] = False,
) -> None:
    """Train a network that colours photographs.

    A tenth of the photographs each is held back for validation and for
    testing. Ctrl-C or SIGTERM finishes the step, writes the checkpoint and
    stops; --resume goes on from there, also after a crash. Two checkpoints are
    kept. `colorlib colorize` takes RUN/weights.safetensors.

    \b
    Examples:
      colorlib train --photos ~/Pictures --out run --steps 20000
      colorlib train --photos ~/Pictures --out run --steps 20000 --resume
      colorlib train --photos ~/Pictures --out try --steps 200 --recipe tiny --size 64
      colorlib train --photos ~/Pictures --out best --steps 4394 --recipe colorizer
      torchrun --nproc_per_node 2 -m colorlib.cli train \\
          --photos 'shards/{000..099}.tar' --out run --steps 20000
    """
    options = dict(locals())  # as they were given, before anything is imported
    from colorlib import commands, processes

    is_main = processes.share()[0] == 0
    with ExitStack() as quiet, open(os.devnull, "w") as nowhere:
        if not is_main:
            quiet.enter_context(redirect_stdout(nowhere))
            quiet.enter_context(redirect_stderr(nowhere))
        history = commands.train_on_photos(commands.Run(**options))
    processes.leave()
    if not is_main:
        sys.exit(130 if history.interrupted else 0)
    if history.interrupted:
        _complain(f"stopped after step {history.num_steps} of {steps}; to go on, add --resume")
        sys.exit(130)
    name = "distance" if recipe == "colorizer" else "l1"
    print(f"{out / 'weights.safetensors'}: step {history.num_steps}, {name} {history.mean(name):.4f} "
          f"over the last {min(50, history.num_steps)} steps, {history.seconds:.0f} s")


@app.command()
def evaluate(
    photos: Annotated[Path, typer.Option(metavar="DIR", help="Colour photographs, in any tree of folders.")],
    output: Annotated[Path, typer.Option("--json", metavar="FILE", help="Where the numbers go.")],
    split: Annotated[Literal["all", "test"], typer.Option(help="test: the tenth that `colorlib train` never sees.")] = "all",
    decode: Annotated[Decode, typer.Option(help="As in colorize.")] = "default",
    weights: Weights = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the JSON file.")] = False,
) -> None:
    """Measure how near coloured photographs come to the real ones.

    Every photograph is coloured from its L, at full size; the numbers are means.
    The table has the grey photograph as the zero line. Photographs that are grey
    or cannot be opened are left out and counted.

    \b
    psnr           dB, more is better
    ssim           1 is equal
    auc            percent, 100 is equal
    delta_e        CIEDE2000, less is better
    colourfulness  to be compared with that of the real photographs

    \b
    Example:
      colorlib evaluate --photos ~/Pictures --split test \\
          --weights run/weights.safetensors --json run/test.json
    """
    if output.is_dir() or not output.parent.is_dir():
        raise ValueError(f"{output}: name a file in a folder that exists")
    if output.exists() and not force:
        raise ValueError(f"{output} is there already; replace it with --force")
    from colorlib import commands

    result, errors = commands.evaluate_photos(photos, split, commands.Colorizer.load(weights), decode)
    for message in errors:
        print(f"left out: {message}", file=sys.stderr)
    write_json(output, result)
    print(commands.table(result))


def _complain(message: str) -> None:
    print("colorlib:", *message.split(), file=sys.stderr)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit: 0, 2 for bad input, 130 for Ctrl-C."""
    args = list(sys.argv[1:] if args is None else args) or ["--help"]
    for stream in (sys.stdout, sys.stderr):  # a name that the console has no letters for ends nothing
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        command = typer.main.get_command(app)
        code = command.main(args=args, prog_name="colorlib", standalone_mode=False) or 0
        if code == 130:  # some versions of typer make this of Ctrl-C
            _complain("interrupted")
        sys.exit(code)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except ClickException as error:
        _complain(f"{error.format_message().strip().rstrip('.')}. See `colorlib --help`.")
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        sys.exit(130)
    except (ValueError, OSError, FloatingPointError) as error:
        _complain(str(error))
    sys.exit(2)


if __name__ == "__main__":
    main()
