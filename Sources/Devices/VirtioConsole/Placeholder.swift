// VirtioConsole
