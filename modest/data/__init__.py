"""Pictures, masks and depths: what the networks are trained and judged on."""
