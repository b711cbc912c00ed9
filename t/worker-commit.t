# The answer to COMMIT can be lost.  Then nobody but the database knows what
# became of the hold, and the worker asks it before it answers: never a hold
# that is not there, never a conflict with oneself.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::CommitProxy;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Worker;

my $db = Ticket::MariaDB->new(dir => temp_dir());
$db->add_performance(1, 'hall', 300_000, map { "A-$_" } 1 .. 400);
my $proxy = Ticket::CommitProxy->new(dir => temp_dir(), db => $db);
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db, config => {db_socket => $proxy->socket});
my $seat = 1;

my %title = (
    before => 'it never reached the database',
    after  => 'the database has committed',
    late   => 'the database commits only later',
);

for my $what (sort keys %title) {
    subtest "one lost answer: $title{$what}" => sub {
        my @seats = map { 'A-' . $seat++ } 1 .. 3;
        $proxy->order($what, 1);
        my $answer = http($worker->target, $worker->hold(1, @seats));
        is $proxy->left, 0, 'it was lost';
        is $answer->{status}, 201, 'the hold is made' or diag $answer->{body};
        my $hold = $answer->{json};
        is_deeply $hold->{seats}, [map { { seat => $_, version => 1 } } sort @seats], 'once';
        is_deeply $db->rows("SELECT seat, version FROM seat WHERE hold_id = '$hold->{hold}' ORDER BY seat"),
            [map { [$_, 1] } sort @seats], 'as the database has it';
        is $worker->ask(1, GET => "/v1/holds/$hold->{hold}")->{json}{expires_at}, $hold->{expires_at},
            'until the time that was told';

        $proxy->order($what, 1);
        is $worker->ask(1, DELETE => "/v1/holds/$hold->{hold}")->{status}, 204, 'and so with a release';
        is $db->value("SELECT COUNT(*) FROM seat WHERE hold_id = '$hold->{hold}'"), 0, 'that is done';
        is $db->broken, '', 'the invariants hold';
    };

    subtest "thirty lost answers in a crowd: $title{$what}" => sub {
        $proxy->order($what, 30);
        my @seats = map { 'A-' . $seat++ } 1 .. 80;
        my $answers = http_many($worker->target, [map { $worker->hold($_, $seats[$_ % 80]) } 1 .. 240],
                                concurrency => 40);
        cmp_ok $proxy->left, '<', 30, 'they were lost';
        my (%n, %told);
        for my $i (0 .. $#$answers) {
            $n{$answers->[$i]{status}}++;
            $told{$seats[($i + 1) % 80]} = $answers->[$i]{json}{hold} if $answers->[$i]{status} == 201;
        }
        is_deeply [grep { $_ != 201 && $_ != 409 && $_ != 503 } keys %n], [], 'no other answer than 201, 409, 503';
        my $names = join ',', map { "'$_'" } @seats;
        my %held = map { @$_ } @{$db->rows("SELECT seat, hold_id FROM seat WHERE seat IN ($names) AND hold_id IS NOT NULL")};
        is_deeply [grep { ($held{$_} // '') ne $told{$_} } keys %told], [], 'every hold told is there';
        is $db->broken, '', 'the invariants hold';
        $proxy->order($what, 0);
    };
}

done_testing;
