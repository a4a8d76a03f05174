"""The networks that teachers and students are made of."""
