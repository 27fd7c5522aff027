import CommandLine

Viv.start()
