"""`python -m proxy.cli`: the same as `gauger`."""

from proxy.cli.main import main

main()
