"""The paper's four models that see the crystal or the composition, not the DOS: CGCNN-HD, MEGNet, Roost and Wren."""
