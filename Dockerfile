# Runwell with everything a fleet needs. Agents of yours: build on it, or mount them.
FROM python:3.13-slim

WORKDIR /app
COPY requirements/fleet.lock ./
RUN pip install --no-cache-dir --require-hashes -r fleet.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --no-deps . && useradd --system --home-dir /app runwell
USER runwell
EXPOSE 8005
CMD ["runwell", "serve", "--host", "0.0.0.0"]
