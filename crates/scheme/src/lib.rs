//! The public side of scoring: parameter sets and their noise bound, masks, formats, matching one block.
