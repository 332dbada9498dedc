"""How a stage of a network becomes something that runs, and where."""
