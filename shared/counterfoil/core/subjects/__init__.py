"""One module a kind of subject: its events, commands, state, `decide` and `evolve`; `core.kinds` lists them."""
