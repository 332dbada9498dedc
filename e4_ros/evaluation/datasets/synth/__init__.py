"""A generated action set: things that move over real textures, named by how they move."""
