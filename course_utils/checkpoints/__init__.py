"""Released models: weights (safetensors, float16), a card beside each, and the recipes that retrain them."""
