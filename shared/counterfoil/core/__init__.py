"""The pure core: values, subjects and their rules, entry bytes. No IO, no clock, no SQL."""
