"""The wheel in the place of the checkout (`make wheel`): the commands in `.venv` then run what users install."""

from __future__ import annotations

import subprocess
import sys

from devtools.environments import ROOT, UV, built, run

WHERE = "import destination_milvus, source_zendesk_stub, support_form; print(destination_milvus.__file__)"


def main() -> None:
    """Build wheel and sdist into `dist/`, install the wheel."""
    files = built(ROOT / "dist")
    [wheel] = (path for path in files if path.suffix == ".whl")
    # by name: a version that is there already counts as another one
    install = [UV, "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--compile-bytecode"]
    run([*install, "--reinstall-package", "airbyte-destination-milvus", str(wheel)])
    # -I: the folder that this runs in is not looked into
    where = subprocess.run(
        [sys.executable, "-I", "-c", WHERE], check=True, capture_output=True, text=True
    ).stdout.strip()
    if "site-packages" not in where:
        sys.exit(f"The commands in .venv run {where}, not {wheel.name}.")
    print(f"The commands in .venv run {wheel.name}, until `make -B .venv/.complete`.")


if __name__ == "__main__":
    main()
