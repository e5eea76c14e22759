"""A package outside MVT4G that adds one of each: a loss on taps, a sampler, a backbone, a metric, a reader."""
