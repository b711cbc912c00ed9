# poll_after_ms is enforced: a poll at less than half of it is answered 429,
# keeps the place, and costs the visitor who obeys nothing.

use lib 't/lib';
use Ticket::Test;
use Ticket::Redis;
use Ticket::Line;
use Time::HiRes qw(sleep time);

my $room = 'slots 1; session 60s; claim 60s; liveness 60s;';
my $redis = Ticket::Redis->new(dir => temp_dir());
my $node  = line_node($redis, "$room early_polls refuse;");
my @crowd = crowd($node, 400);
my @waiting = @crowd[1 .. 399];
eventually { defined((poll_all([$waiting[0]]))[0]{json}{position}) } 3, 'positions are known';
sleep 1;

# At the end of the line a poll is due after four seconds, at the front after one.
{
    my $last = $waiting[-1];
    my ($first) = poll_all([$last]);
    is($first->{status}, 200, 'the first poll is answered');
    cmp_ok($first->{json}{poll_after_ms}, '>=', 3000, 'and told to take its time');
    my ($early) = poll_all([$last]);
    is($early->{status}, 429, 'a poll right after it is too early');
    is($early->{json}{code}, 'too_early', 'code too_early');
    cmp_ok($early->{json}{poll_after_ms}, '<=', $first->{json}{poll_after_ms} * 0.7, 'it is told how long to wait');
    cmp_ok($early->{json}{poll_after_ms}, '>', 100, 'for a time');
    like($early->{headers}{'retry-after'}, qr/^[12]$/, 'in seconds, too');
    sleep $early->{json}{poll_after_ms} / 1000 + 0.1;
    is((poll_all([$last]))[0]{status}, 200, 'then it is answered');
    is($last->{position}, 399, 'and the place is as it was');
}

# Whoever does as told is never refused.
{
    my @some = @waiting[0, 20, 40, 80, 160, 320];
    my %due = map { $_ => 0 } 0 .. $#some;
    my ($refused, $polls) = (0, 0);
    my $end = time + 8;
    while (time < $end) {
        for my $i (0 .. $#some) {
            next if time < $due{$i};
            my ($answer) = poll_all([$some[$i]]);
            $polls++;
            $refused++ if $answer->{status} == 429;
            $due{$i} = time + ($answer->{json}{poll_after_ms} // 1000) / 1000 if $answer->{status} == 200;
        }
        sleep 0.02;
    }
    cmp_ok($polls, '>', 12, 'visitors who wait as told');
    is($refused, 0, 'are not refused');
}

# A refused poll still shows that the visitor is there; other methods are free.
{
    my ($post) = post_all([$waiting[-1]]);
    is($post->{status}, 200, 'a POST is answered at any time');
    my ($why) = each_visitor([$waiting[-1]], 'POST');
    is($why->{status}, 200, 'and again');
}

done_testing;
