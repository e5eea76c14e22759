"""The Fréchet distance from its definition, in NumPy: the root of the product by its own, complex, eigenvectors."""

import numpy as np


def matrix_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eig(matrix.astype(complex))
    return vectors @ np.diag(np.sqrt(values)) @ np.linalg.inv(vectors)


def mean_and_covariance(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    number, size = samples.shape
    mean = np.array([sum(samples[:, i]) / number for i in range(size)])
    covariance = np.zeros((size, size))
    for sample in samples:
        covariance += np.outer(sample - mean, sample - mean) / (number - 1)
    return mean, covariance


def frechet(samples_a: np.ndarray, samples_b: np.ndarray) -> float:
    """Samples (n d)."""
    (mean_a, covariance_a), (mean_b, covariance_b) = mean_and_covariance(samples_a), mean_and_covariance(samples_b)
    root = matrix_root(covariance_a @ covariance_b)
    assert np.allclose(root @ root, covariance_a @ covariance_b)
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(covariance_a + covariance_b - 2 * root).real)
