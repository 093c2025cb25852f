"""The program that keeps the store in step with a folder of photos."""
