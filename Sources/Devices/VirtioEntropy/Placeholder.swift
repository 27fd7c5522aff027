// VirtioEntropy
