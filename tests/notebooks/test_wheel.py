"""What the wheel holds. That every notebook runs with it alone, `make test` shows: nbval's kernel imports the wheel."""


def test_the_wheel_holds_code_weights_and_results_alone(jupyter_path):
    installed = jupyter_path.parent / "wheel"
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"colorlib"}
    for name in ("course/nb05.py", "shipped/colorizer.safetensors", "results/stability_05.json", "studio/board.js"):
        assert (installed / "colorlib" / name).is_file(), name
