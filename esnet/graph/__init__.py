"""The paper's graph models, which use the crystal or composition instead of the DOS: CGCNN-HD, MEGNet, Roost, Wren."""
