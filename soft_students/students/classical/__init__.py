"""Students based on scikit-learn, trained on complete soft targets."""
