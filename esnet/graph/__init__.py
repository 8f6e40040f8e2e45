"""Graph models of the paper on crystal or composition, not the DOS: CGCNN-HD, MEGNet, Roost and Wren."""
