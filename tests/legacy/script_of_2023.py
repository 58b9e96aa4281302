"""A script as people wrote it for openai 0.28: only its import is of today. Run in a folder with its two files."""

import time

import finetune_kit.legacy as openai

openai.api_key = "YOUR_API_KEY"

# Create the job
job = openai.FineTune.create(
    training_file="train_data",
    validation_file="valid_data",
    check_if_files_exist=True,
    model="davinci",
)
job_id = job["id"]
print(f"Fine-tuning job {job_id} is {job['status']}")

# Wait for it
while True:
    job = openai.FineTune.retrieve(id=job_id)
    if job["status"] in ["succeeded", "failed"]:
        break
    time.sleep(0.05)

# Read what it measured
result_files = job.get("result_files", [])
if result_files:
    result = openai.File.download(id=result_files[0])
    print(result.decode("utf-8"))

# Ask the new model
reply = openai.Completion.create(
    model=job["fine_tuned_model"],
    prompt="炒蛋多少钱?\n\n###\n\n",
    temperature=0,
    max_tokens=50,
    top_p=1,
    frequency_penalty=0,
    presence_penalty=0,
    stop=["END"],
)
answer = reply["choices"][0]["text"].strip()
print(answer)
