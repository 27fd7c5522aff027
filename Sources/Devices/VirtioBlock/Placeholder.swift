// VirtioBlock
