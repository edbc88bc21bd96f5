"""Parts of bench/predict_vllm.py."""
